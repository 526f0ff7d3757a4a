"""What the anchors of a `models.palm_net.PalmNet` say.

The conventions are those of MediaPipe's graph `palm_detection`. NumPy alone; lengths and places are
in sides of the square picture, x right, y down.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from i2uv_jax.detection.boxes import intersection_over_union
from i2uv_jax.models.palm_net import COARSE_ANCHORS, FINE_ANCHORS

SAME_PALM = 0.3
"""Overlap from which two anchors are taken to see one palm."""

PALM_WRIST, PALM_MIDDLE_MCP = 0, 2
"""Of the seven points: the middle of the wrist, and the knuckle of the middle finger."""


class Palms(NamedTuple):
    """The palms of one picture, the likeliest first."""

    box: Float[np.ndarray, "n 4"]
    """Left, top, right and bottom."""
    points: Float[np.ndarray, "n 7 2"]
    score: Float[np.ndarray, "n"]


@lru_cache
def anchor_centres(size: int) -> Float[np.ndarray, "n 2"]:
    """Where the anchors' cells have their middles, in the order of the network's answers."""
    centres = np.concatenate(
        [
            np.repeat(_cell_centres(size // stride), anchors, axis=0)
            for stride, anchors in ((8, FINE_ANCHORS), (16, COARSE_ANCHORS))
        ]
    )
    centres.flags.writeable = False  # All callers share them.
    return centres


def find_palms(
    logits: Float[np.ndarray, "n"],
    values: Float[np.ndarray, "n 18"],
    size: int,
    *,
    min_score: float,
) -> Palms:
    """The palms of one picture: anchors that see the same one are averaged, weighted by score.

    Args:
      logits, values: the network's answers for one picture of `size` pixels.
      min_score: palms that are less likely are left out.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -100, 100)))
    likely = np.flatnonzero(scores >= min_score)
    scores = scores[likely]
    pairs = values[likely].reshape(-1, 9, 2) / size
    centres = anchor_centres(size)[likely]
    middles, extents, points = centres + pairs[:, 0], pairs[:, 1], centres[:, None] + pairs[:, 2:]
    boxes = np.concatenate([middles - extents / 2, middles + extents / 2], axis=-1)
    found = []
    remaining = np.argsort(-scores, kind="stable")
    while len(remaining):
        best = remaining[0]
        overlap = intersection_over_union(boxes[best : best + 1], boxes[remaining])[0]
        same = overlap > SAME_PALM
        same[0] = True  # a box without extent overlaps nothing, itself included
        group, remaining = remaining[same], remaining[~same]
        weights = scores[group] / scores[group].sum()
        found.append(
            (weights @ boxes[group], np.tensordot(weights, points[group], 1), scores[best])
        )
    if not found:
        return Palms(np.zeros((0, 4)), np.zeros((0, 7, 2)), np.zeros(0))
    return Palms(*(np.array(part) for part in zip(*found, strict=True)))


def _cell_centres(cells: int) -> Float[np.ndarray, "cells*cells 2"]:
    """Row by row."""
    axis = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2)
