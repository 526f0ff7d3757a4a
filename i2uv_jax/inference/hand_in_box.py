"""The hand that a detector finds where a box is given already."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import intersection_over_union
from i2uv_jax.imaging.crop import crop_from_box
from i2uv_jax.inference.detected_hand import DetectedHand, PhotoDetector, plain_box

_BOX_ROOM = 0.6
"""Room about a given box, in sides of it: palms are found best in pictures that hands do not fill.
"""
_SAME_HAND = 0.3
"""Overlap from which a hand that is found is taken for the one whose box is given."""


def find_in_box(
    detector: PhotoDetector, photo: UInt8[np.ndarray, "h w 3"], box_xyxy: Sequence[float]
) -> DetectedHand | None:
    """The hand that a detector finds in a box, looking at little more of the photo than that.

    None where it finds none there, or only others that happen to reach into the box.

    Raises:
      BoxError: the box does not fit the photo.
    """
    height, width, _ = photo.shape
    edges = crop_from_box(box_xyxy, width, height, margin=_BOX_ROOM).xyxy_px
    left, top, right, bottom = (
        int(np.clip(round(edge), 0, limit))
        for edge, limit in zip(edges, (width, height) * 2, strict=True)
    )
    offset = np.array([left, top])
    best, best_overlap = None, _SAME_HAND
    for hand in detector(photo[top:bottom, left:right]):
        box = np.array(hand.box_xyxy) + np.tile(offset, 2)
        overlap = intersection_over_union(box[None], np.array(box_xyxy)[None])[0, 0]
        if overlap >= best_overlap:
            keypoints = None if hand.keypoints is None else hand.keypoints + np.append(offset, 0)
            best = replace(hand, box_xyxy=plain_box(box), keypoints=keypoints)
            best_overlap = overlap
    return best
