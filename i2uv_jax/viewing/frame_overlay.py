"""Hands drawn over a whole picture of any size, as a video's frames are shown."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.render.mesh_picture import draw_meshes
from i2uv_jax.viewing.overlay import composite

_LAYER_PX = 256
"""Side at which a hand is drawn before it gets its size in the picture: one program for all."""
_ROOM = 1.1
_OPACITY = 0.75


def overlay_hands(
    picture: UInt8[np.ndarray, "h w 3"], hands: Sequence[HandPrediction]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the shaded meshes over it, half-transparent.

    Args:
      hands: without a leading dimension each; they may reach past the picture's edges.
    """
    for hand in hands:
        picture = _with_hand(picture, hand)
    return picture


def _with_hand(
    picture: UInt8[np.ndarray, "h w 3"], hand: HandPrediction
) -> UInt8[np.ndarray, "h w 3"]:
    height, width, _ = picture.shape
    low, high = hand.vertices_2d.min(axis=0), hand.vertices_2d.max(axis=0)
    side = _ROOM * max(float((high - low).max()), 1.0)
    corner = (low + high - side) / 2
    (layer,) = draw_meshes(
        (_LAYER_PX / side * (hand.vertices_2d - corner))[None],
        hand.vertices_mm.astype(np.float64)[None],
        hand.faces,
        _LAYER_PX,
    )
    # What of the hand's square lies in the picture, in its pixels and in the layer's.
    first = np.clip(np.floor(corner), 0, (width, height)).astype(int)
    last = np.clip(np.ceil(corner + side), 0, (width, height)).astype(int)
    if (last <= first).any():
        return picture
    seen = np.concatenate([first - corner, last - corner]) * (_LAYER_PX / side)
    # Pillow weighs colours by alpha as it enlarges, so outlines stay clean.
    resized = Image.fromarray(layer).resize(
        tuple((last - first).tolist()), Image.Resampling.BILINEAR, box=_inside(seen)
    )
    place = np.s_[first[1] : last[1], first[0] : last[0]]
    drawn = picture.copy()
    drawn[place] = composite(picture[place], np.asarray(resized), opacity=_OPACITY)
    return drawn


def _inside(box: np.ndarray) -> tuple[float, float, float, float]:
    """Rounding may put a box a hair outside the layer, which Pillow refuses."""
    left, top, right, bottom = np.clip(box, 0, _LAYER_PX)
    return float(left), float(top), float(right), float(bottom)
