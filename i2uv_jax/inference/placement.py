"""Where the hands of one photo stand to each other, in millimetres."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.inference.prediction import HandPrediction

ASSUMED_FOCAL = 1.2
"""Focal length in longer sides of the photo, about that of a phone's main camera: a photo alone
does not tell it, and with another one only the distances between near and far hands change."""


def wrists_mm(hands: Sequence[HandPrediction], width: int, height: int) -> Float[np.ndarray, "n 3"]:
    """Wrists in the camera frame: its origin is the camera, in the photo's middle.

    Each hand has a scale s of its own, in pixels a millimetre (weak perspective at the mean hand's
    size), so with a focal length f in pixels it stands at the depth f / s, and a wrist at pixel p
    at (p - middle) / s.

    Args:
      hands: without a leading dimension each; at least one.
      width: the photo's width in pixels.
      height: the photo's height in pixels.
    """
    places = []
    for hand in hands:
        flat = hand.vertices_mm[:, :2] - hand.vertices_mm[:, :2].mean(axis=0)
        drawn = hand.vertices_2d - hand.vertices_2d.mean(axis=0)
        scale = max(float(np.linalg.norm(drawn) / max(np.linalg.norm(flat), 1e-9)), 1e-9)
        aside = (hand.keypoints_2d[WRIST] - np.array([width, height]) / 2) / scale
        places.append([*aside, ASSUMED_FOCAL * max(width, height) / scale])
    return np.array(places)
