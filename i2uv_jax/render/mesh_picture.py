"""Shaded pictures of a mesh, from the package's own rasteriser."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.render.rasterise import find_visible_faces, weights_at

_SUPERSAMPLING = 2
_LIGHT = np.array([-0.35, -0.55, -0.76], np.float32)
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
    colours: Float[np.ndarray, "v 3"] | None = None,
) -> UInt8[np.ndarray, "k size size 4"]:
    """Draws `k` views of a mesh, each `size` x `size`, as RGBA with antialiased outlines.

    Args:
      points_px: projected vertices, pixels of the picture that is drawn.
      vertices: the same vertices in each view's frame (x right, y down, z away), for depth and
        light; any unit between millimetres and pixels.
      faces: counter-clockwise seen from outside.
      size: side of each picture in pixels.
      colours: of the vertices, 0 to 1; all have `MESH_COLOUR` for None.
    """
    fine = size * _SUPERSAMPLING
    seen = find_visible_faces(
        (points_px * _SUPERSAMPLING).astype(np.float32),
        (vertices[..., 2] - vertices[..., 2].min() + _DEPTH_OFFSET).astype(np.float32),
        faces,
        height=fine,
        width=fine,
        # The mesh is open at the wrist: from there its inside must show instead of nothing.
        cull_back_faces=False,
    )
    face, planes = np.asarray(seen.face), np.asarray(seen.planes)
    pictures = np.zeros((len(vertices), size, size, 4), np.uint8)
    for index, view_vertices in enumerate(vertices):
        # Half of a picture and more is empty: only what is covered is worth a computation.
        covered = np.flatnonzero(face[index] >= 0)
        covering = face[index].ravel()[covered]
        corners = faces[covering]
        row, column = np.divmod(covered.astype(np.int32), np.int32(fine))
        centre_x, centre_y = (axis.astype(np.float32) + np.float32(0.5) for axis in (column, row))
        own_weights = weights_at(planes[index][covering], centre_x, centre_y).T
        normals = vertex_normals(view_vertices, faces).astype(np.float32)[corners]
        brightness = _brightness(np.einsum("nk,nkd->nd", own_weights, normals))
        alpha = _mean_of_blocks((face[index] >= 0).astype(np.float32))
        drawn = np.flatnonzero(alpha)
        alpha = alpha.ravel()[drawn]
        if colours is None:
            shade = _scattered_means(brightness, covered, fine)[drawn] / alpha
            shades = shade[:, None] * np.float32(MESH_COLOUR)
        else:
            lit = brightness[:, None] * np.einsum("nk,nkc->nc", own_weights, colours[corners])
            means = [_scattered_means(channel, covered, fine)[drawn] for channel in lit.T]
            shades = np.column_stack(means) / alpha[:, None]
        pixels = np.column_stack([shades, alpha])
        pictures[index].reshape(-1, 4)[drawn] = np.round(255 * np.clip(pixels, 0, 1))
    return pictures


def _scattered_means(
    values: Float[np.ndarray, " n"], places: Int[np.ndarray, " n"], fine: int
) -> Float[np.ndarray, " pixels"]:
    """Means over pixels of a picture of `fine` samples a side that is zero but at some places."""
    samples = np.zeros(fine * fine, np.float32)
    samples[places] = values
    return _mean_of_blocks(samples.reshape(fine, fine)).ravel()


def _mean_of_blocks(samples: Float[np.ndarray, "fh fw"]) -> Float[np.ndarray, "h w"]:
    step = _SUPERSAMPLING
    return sum(samples[row::step, column::step] for row, column in np.ndindex(step, step)) / step**2


def _brightness(normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """Diffuse light plus a soft highlight; surfaces seen from inside are dark."""
    length = np.maximum(np.sqrt(np.einsum("nd,nd->n", normals, normals)), 1e-9)
    halfway = _LIGHT + np.array([0, 0, -1], np.float32)
    diffuse = np.clip(normals @ _LIGHT / length, 0, 1)
    highlight = np.clip(normals @ (halfway / np.linalg.norm(halfway)) / length, 0, 1) ** 24
    facing = np.where(normals[:, 2] < 0.15 * length, np.float32(1), np.float32(0.5))
    return facing * (0.32 + 0.72 * diffuse + 0.18 * highlight)
