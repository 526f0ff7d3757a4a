"""Shaded pictures of a mesh, from the package's own rasteriser."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.render.rasterise import rasterise

_SUPERSAMPLING = 2
_LIGHT = np.array([-0.35, -0.55, -0.76])
"""Direction to the light in the view's frame: from the viewer, up and from the left."""
_DEPTH_OFFSET = 1e4
"""Added to depths (millimetres or pixels), which must be positive; the same for all vertices, and
far enough that perspective plays no part in the interpolation."""

MESH_COLOUR = (0.55, 0.70, 0.92)
"""Light blue, the usual choice: nothing else in a photo of a hand looks like it."""


def draw_meshes(
    points_px: Float[np.ndarray, "k v 2"],
    vertices: Float[np.ndarray, "k v 3"],
    faces: Int[np.ndarray, "f 3"],
    size: int,
    *,
    colour: tuple[float, float, float] = MESH_COLOUR,
) -> UInt8[np.ndarray, "k size size 4"]:
    """Draws `k` views of a mesh, each `size` x `size`, as RGBA with antialiased outlines.

    Args:
      points_px: projected vertices, pixels of the picture that is drawn.
      vertices: the same vertices in each view's frame (x right, y down, z away), for depth and
        light; any unit between millimetres and pixels.
      faces: counter-clockwise seen from outside.
      size: side of each picture in pixels.
    """
    fine = size * _SUPERSAMPLING
    fragments = rasterise(
        (points_px * _SUPERSAMPLING).astype(np.float32),
        (vertices[..., 2] - vertices[..., 2].min() + _DEPTH_OFFSET).astype(np.float32),
        faces,
        height=fine,
        width=fine,
        # The mesh is open at the wrist: from there its inside must show instead of nothing.
        cull_back_faces=False,
    )
    face = np.asarray(fragments.face)
    weights = np.asarray(fragments.weights)
    pictures = np.empty((len(vertices), size, size, 4), np.uint8)
    for index, view_vertices in enumerate(vertices):
        covered = face[index] >= 0
        corners = vertex_normals(view_vertices, faces)[faces[face[index][covered]]]
        samples = np.zeros((fine, fine, 2))
        samples[covered, 0] = _brightness(
            (weights[index][covered][..., None] * corners).sum(axis=1)
        )
        samples[covered, 1] = 1
        blocks = samples.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 2).mean(axis=(1, 3))
        alpha = blocks[..., 1]
        shade = blocks[..., 0] / np.maximum(alpha, 1e-6)
        pictures[index, ..., :3] = np.round(
            255 * np.clip(shade[..., None] * np.array(colour), 0, 1)
        )
        pictures[index, ..., 3] = np.round(255 * alpha)
    return pictures


def _brightness(normals):
    """Diffuse light plus a soft highlight; surfaces seen from inside are dark."""
    length = np.linalg.norm(normals, axis=-1)
    unit = normals / np.maximum(length, 1e-9)[..., None]
    diffuse = np.clip(unit @ _LIGHT, 0, 1)
    halfway = _LIGHT + np.array([0, 0, -1])
    highlight = np.clip(unit @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 24
    facing = np.where(unit[..., 2] < 0.15, 1.0, 0.5)
    return facing * (0.32 + 0.72 * diffuse + 0.18 * highlight)
