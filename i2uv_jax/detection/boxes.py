"""Boxes in pictures: how much two overlap, and which of several are one thing. NumPy alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

MIN_SCORE = 0.3
"""Candidates with a lower score are taken for no hands."""

SAME_BOX = 0.6
"""Overlap above which the lesser of two boxes is taken for the other's hand once more."""

_FLESH = 0.15
"""How far a hand reaches beyond its keypoints, on both sides together, in sides of their box."""


@dataclass(frozen=True)
class FoundBoxes:
    """What a detector says about one picture, the likeliest first."""

    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, "n"]
    is_left: Bool[np.ndarray, "n"] | None
    """None if the detector does not tell sides."""


def square_boxes(
    centre: Float[np.ndarray, "*n 2"], side: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n 4"]:
    """Left, top, right and bottom of squares."""
    half = np.asarray(side)[..., None] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def box_around(keypoints_2d: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "4"]:
    """Left, top, right and bottom of a hand, flesh included."""
    low, high = keypoints_2d.min(axis=0), keypoints_2d.max(axis=0)
    room = _FLESH / 2 * (high - low).max()
    return np.concatenate([low - room, high + room])


def intersection_over_union(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Shared area over joint area of every pair of boxes (left, top, right, bottom)."""
    shared = _shared_areas(first, second)
    joint = _areas(first)[:, None] + _areas(second)[None] - shared
    return shared / np.maximum(joint, 1e-12)


def intersection_over_smaller(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Shared area over that of the smaller of every pair of boxes: 1 where it lies in the other."""
    smaller = np.minimum(_areas(first)[:, None], _areas(second)[None])
    return _shared_areas(first, second) / np.maximum(smaller, 1e-12)


def _shared_areas(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1)


def _areas(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)


def suppress_overlapping(
    boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, "n"], threshold: float
) -> Int[np.ndarray, "k"]:
    """Indices, best first, of boxes that overlap no better one by more than the threshold."""
    overlap = intersection_over_union(boxes, boxes)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not any(overlap[index, other] > threshold for other in kept):
            kept.append(int(index))
    return np.array(kept, int)


def drop_contained(
    boxes: Float[np.ndarray, "n 4"],
    scores: Float[np.ndarray, "n"],
    threshold: float,
    *,
    either_way: bool = False,
) -> Int[np.ndarray, "k"]:
    """Indices, best first, of boxes of which no better one covers more than the threshold.

    Args:
      either_way: nor does any cover more than that of a better one.
    """
    area, shared = _areas(boxes), _shared_areas(boxes, boxes)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        contained = np.minimum(area[kept], area[index]) if either_way else area[index]
        if not (shared[index, kept] > threshold * contained).any():
            kept.append(int(index))
    return np.array(kept, int)


def pick_boxes(
    centre: Float[np.ndarray, "k 2"],
    side: Float[np.ndarray, "k"],
    score: Float[np.ndarray, "k"],
    left_share: Float[np.ndarray, "k"],
    *,
    min_score: float = 0.0,
) -> FoundBoxes:
    """The hands among one picture's candidates (`detection.peaks.Peaks`): likely, each once."""
    likely = np.flatnonzero(score > min_score)
    boxes = square_boxes(centre, side)
    kept = likely[suppress_overlapping(boxes[likely], score[likely], SAME_BOX)]
    return FoundBoxes(boxes[kept], score[kept], left_share[kept] > 0.5)
