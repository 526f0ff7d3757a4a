"""The hand that a detector finds where a box is given already."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import intersection_over_union
from i2uv_jax.imaging.crop import crop_from_box
from i2uv_jax.inference.arguments import as_picture
from i2uv_jax.inference.detected_hand import (
    BoxDetector,
    DetectedHand,
    PhotoDetector,
    plain_box,
)

_BOX_ROOM = 0.6
"""Room about a given box, in sides of it: palms are found best in pictures that hands do not fill.
"""
_SAME_HAND = 0.3
"""Overlap from which a hand that is found is taken for the one whose box is given."""
_SURE = 0.8
"""Score from which a hand that is found counts without a look at the box itself."""


def find_in_box(
    detector: PhotoDetector,
    photo: UInt8[np.ndarray, "h w 3"],
    box_xyxy: Sequence[float] | None,
) -> DetectedHand | None:
    """The hand that a detector finds in a box, looking at little more of the photo than that.

    Where it finds none, or is not sure of it, it also looks straight at the box, if it can
    (`BoxDetector`): there is a hand, after all. The likelier of both counts.

    Args:
      box_xyxy: left, top, right and bottom in pixels of the photo; None stands for all of it.

    Returns:
      The hand, its box as it was given or the detector's own without one; None where nothing is
      seen there, or only others that happen to reach into the box.

    Raises:
      BoxError: the box does not fit the photo.
      ValueError: the photo is no such picture.
    """
    photo = as_picture(photo)
    height, width, _ = photo.shape
    if box_xyxy is None:
        found = next(iter(detector(photo)), None)
        return found or _look_in(detector, photo, (0, 0, width, height))
    edges = crop_from_box(box_xyxy, width, height, margin=_BOX_ROOM).xyxy_px
    left, top, right, bottom = (
        int(np.clip(round(edge), 0, limit))
        for edge, limit in zip(edges, (width, height) * 2, strict=True)
    )
    surroundings = photo[top:bottom, left:right]
    if isinstance(detector, BoxDetector):
        found = detector(surroundings, in_parts=False)
    else:
        found = detector(surroundings)
    around = [_moved(hand, left, top) for hand in found]
    nearest = max(around, key=lambda hand: _overlap(hand, box_xyxy), default=None)
    seen = [nearest]
    if not _is_there(nearest, box_xyxy) or nearest.score < _SURE:
        seen.append(_look_in(detector, photo, box_xyxy))
    there = [hand for hand in seen if _is_there(hand, box_xyxy)]
    likeliest = max(there, key=lambda hand: hand.score, default=None)
    if likeliest is None:
        return None
    return replace(likeliest, box_xyxy=plain_box(np.array(box_xyxy)))


def _look_in(
    detector: PhotoDetector, photo: UInt8[np.ndarray, "h w 3"], box_xyxy: Sequence[float]
) -> DetectedHand | None:
    return detector.look_in_box(photo, box_xyxy) if isinstance(detector, BoxDetector) else None


def _moved(hand: DetectedHand, right_px: int, down_px: int) -> DetectedHand:
    offset = np.array([right_px, down_px, 0])
    return replace(
        hand,
        box_xyxy=plain_box(np.array(hand.box_xyxy) + np.tile(offset[:2], 2)),
        keypoints=None if hand.keypoints is None else hand.keypoints + offset,
    )


def _is_there(hand: DetectedHand | None, box_xyxy: Sequence[float]) -> bool:
    return hand is not None and _overlap(hand, box_xyxy) >= _SAME_HAND


def _overlap(hand: DetectedHand, box_xyxy: Sequence[float]) -> float:
    boxes = np.array([hand.box_xyxy]), np.array([box_xyxy])
    return float(intersection_over_union(*boxes)[0, 0])
