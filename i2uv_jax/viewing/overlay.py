"""Drawing a reconstructed hand over its picture."""

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw

from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES, KEYPOINT_NAMES
from i2uv_jax.render.mesh_picture import draw_meshes

FINGER_COLOURS = {
    "wrist": (235, 235, 235),
    "thumb": (230, 60, 60),
    "index": (245, 160, 20),
    "middle": (70, 190, 60),
    "ring": (30, 150, 235),
    "little": (180, 70, 220),
}
"""One colour per finger, in the order red to violet from the thumb to the little finger."""

_SKELETON_SUPERSAMPLING = 3


def composite(
    picture: UInt8[np.ndarray, "h w 3"], layer: UInt8[np.ndarray, "h w 4"], *, opacity: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
    """Lays an RGBA layer over a picture."""
    colours, alpha = Image.fromarray(layer[..., :3]), Image.fromarray(layer[..., 3])
    alpha = alpha.point([round(opacity * level) for level in range(256)])
    return np.array(Image.composite(colours, Image.fromarray(picture), alpha))


def overlay_mesh(
    picture: UInt8[np.ndarray, "s s 3"],
    points_px: Float[np.ndarray, "v 2"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    *,
    opacity: float = 0.75,
    colours: Float[np.ndarray, "v 3"] | None = None,
) -> UInt8[np.ndarray, "s s 3"]:
    """The picture with the shaded mesh over it, half-transparent.

    Args:
      picture: a square picture.
      points_px: the mesh's vertices in pixels of the picture.
      vertices: the vertices in the camera frame, for depth and shading.
      faces: counter-clockwise seen from outside.
      opacity: 0 (nothing) to 1 (the hand is hidden).
      colours: of the vertices, see `draw_meshes`.
    """
    (layer,) = draw_meshes(points_px[None], vertices[None], faces, len(picture), colours)
    return composite(picture, layer, opacity=opacity)


def overlay_skeleton(
    picture: UInt8[np.ndarray, "h w 3"], keypoints_px: Float[np.ndarray, "21 2"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the 21 keypoints and 20 bones over it, one colour a finger, antialiased."""
    height, width, _ = picture.shape
    zoom = _SKELETON_SUPERSAMPLING
    layer = Image.new("RGBA", (width * zoom, height * zoom))
    draw = ImageDraw.Draw(layer)
    points = [tuple(float(value) * zoom for value in point) for point in keypoints_px]
    colours = [FINGER_COLOURS[name.split("_")[0]] for name in KEYPOINT_NAMES]
    thickness = max(1.0, max(height, width) / 150) * zoom

    # A dark rim keeps the lines visible on skin as well as on the mesh.
    for extra, rim in ((0.6 * zoom, (20, 20, 20)), (0.0, None)):
        for parent, child in KEYPOINT_EDGES:
            draw.line(
                [points[parent], points[child]],
                fill=rim or colours[child],
                width=round(thickness + 2 * extra),
            )
        for (x, y), colour in zip(points, colours, strict=True):
            radius = thickness + extra
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=rim or colour)
    # Shrinking with premultiplied alpha, which Pillow does of RGBA, keeps the rim clean.
    return composite(picture, np.asarray(layer.reduce(zoom)))
