"""Rows of pictures that show reconstructed hands from all sides."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from i2uv_jax.imaging.crop import crop_whole, extract
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.render.mesh_picture import draw_meshes
from i2uv_jax.viewing.error_colours import error_colours
from i2uv_jax.viewing.overlay import composite, overlay_mesh, overlay_skeleton
from i2uv_jax.viewing.uv_colours import uv_map_colours

TILE_PX = 256
_GAP_PX = 8
_CAPTION_PX = 34
_FONT_PX = 20
"""Legible where a page shows the row at half its size."""
_PAPER = (255, 255, 255)
_BACKDROP = (244, 245, 247)
_INK = (50, 54, 60)

_VIEW_FILL = 0.84
"""Share of the tile that the hand takes in the two other views, along its longest side."""

# Rotations of the scene (camera frame: x right, y down, z away) about the hand's centre.
_FROM_THE_SIDE = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""The viewer walks a quarter circle to the right: what was deep (z) now points right."""
_FROM_BEHIND = np.diag([-1.0, 1.0, -1.0])
"""The viewer stands behind the hand."""


def photo_panel(
    photo: UInt8[np.ndarray, "h w 3"],
    predictions: Sequence[HandPrediction],
    mask: Bool[np.ndarray, "m m"],
    *,
    show_errors: bool = False,
) -> UInt8[np.ndarray, "ph pw 3"]:
    """The panel of one hand; of none or several, the photo with all of them, a row for each below.

    Args:
      photo: the whole picture.
      predictions: its hands, each without a leading dimension.
      mask, show_errors: as for `prediction_panel`.
    """
    rows = [
        prediction_panel(photo, prediction, mask, show_errors=show_errors)
        for prediction in predictions
    ]
    if len(rows) == 1:
        return rows[0]
    height, width, _ = photo.shape
    square, size = crop_whole(width, height), 2 * TILE_PX
    overlaid = picture = extract(photo, square, size)
    for prediction in predictions:
        overlaid = overlay_mesh(
            overlaid,
            size * square.to_crop(prediction.vertices_2d),
            prediction.vertices_mm.astype(np.float64),
            prediction.faces,
            colours=error_colours(prediction.vertex_error_mm) if show_errors else None,
        )
    found = {0: "no hand found"}.get(len(rows), f"{len(rows)} hands")
    return _stacked([tile_row({"input": picture, found: overlaid}), *rows])


def _stacked(rows: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "ph pw 3"]:
    """Rows one below another on white paper."""
    width = max(row.shape[1] for row in rows)
    paper = np.full((sum(len(row) for row in rows), width, 3), _PAPER[0], np.uint8)
    top = 0
    for row in rows:
        paper[top : top + len(row), : row.shape[1]] = row
        top += len(row)
    return paper


def prediction_panel(
    photo: UInt8[np.ndarray, "h w 3"],
    prediction: HandPrediction,
    mask: Bool[np.ndarray, "m m"],
    *,
    show_errors: bool = False,
) -> UInt8[np.ndarray, "ph pw 3"]:
    """Five tiles: the crop, the mesh and skeleton over it, the UV map, the mesh from two sides.

    Args:
      photo: the whole picture.
      prediction: the hand of this one picture.
      mask: which texels of the prediction's UV map lie inside the chart.
      show_errors: whether the meshes have the colours of the errors that are expected of them
        (`error_colours`), as only some predictions tell; else all have one colour.
    """
    crop = prediction.crop
    picture = extract(photo, crop, TILE_PX)

    vertices = prediction.vertices_mm.astype(np.float64)
    on_crop = TILE_PX * crop.to_crop(prediction.vertices_2d)
    side_points, side_vertices = _turned(vertices, _FROM_THE_SIDE)
    back_points, back_vertices = _turned(vertices, _FROM_BEHIND)
    overlay, side, back = draw_meshes(
        np.stack([on_crop, side_points, back_points]),
        np.stack([vertices, side_vertices, back_vertices]),
        prediction.faces,
        TILE_PX,
        error_colours(prediction.vertex_error_mm) if show_errors else None,
    )
    overlaid = overlay_skeleton(
        composite(picture, overlay, opacity=0.65), TILE_PX * crop.to_crop(prediction.keypoints_2d)
    )
    backdrop = np.empty((TILE_PX, TILE_PX, 3), np.uint8)
    backdrop[:] = _BACKDROP
    return tile_row(
        {
            f"input ({prediction.handedness} hand)": picture,
            "mesh and keypoints": overlaid,
            "UV position map": _uv_tile(prediction.uv_map, mask, backdrop),
            "mesh from the side": composite(backdrop, side),
            "mesh from behind": composite(backdrop, back),
        }
    )


def _uv_tile(uv_map, mask, backdrop):
    """The map's colours, enlarged with a smooth outline."""
    inside = np.where(mask, 255, 0).astype(np.uint8)
    # Each by itself: of RGBA, Pillow would weigh the colours by the mask.
    layers = [
        Image.fromarray(layer).resize((TILE_PX, TILE_PX), Image.Resampling.BILINEAR)
        for layer in (uv_map_colours(uv_map, mask, background=None), inside)
    ]
    return composite(backdrop, np.dstack(layers))


def tile_row(tiles: dict[str, UInt8[np.ndarray, "s s 3"]]) -> UInt8[np.ndarray, "ph pw 3"]:
    """Square tiles of one size in a row, each with its caption above."""
    size = len(next(iter(tiles.values())))
    width = len(tiles) * (size + _GAP_PX) + _GAP_PX
    canvas = Image.new("RGB", (width, size + _CAPTION_PX + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(canvas)
    font = _caption_font()
    for index, (caption, tile) in enumerate(tiles.items()):
        x = _GAP_PX + index * (size + _GAP_PX)
        draw.text((x + size / 2, _CAPTION_PX / 2), caption, _INK, font, anchor="mm")
        canvas.paste(Image.fromarray(tile), (x, _CAPTION_PX))
    return np.asarray(canvas)


@lru_cache(maxsize=1)
def _caption_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_FONT_PX)


def _turned(
    vertices: Float[np.ndarray, "v 3"], rotation: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "v 2"], Float[np.ndarray, "v 3"]]:
    """Vertices seen from another side, orthographic: (pixels of a tile, that view's frame)."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    centred = (vertices - (low + high) / 2) @ rotation.T
    # One scale for all views, so that they show the same hand at the same size.
    scale = _VIEW_FILL * TILE_PX / max((high - low).max(), 1e-9)
    return centred[:, :2] * scale + TILE_PX / 2, centred
