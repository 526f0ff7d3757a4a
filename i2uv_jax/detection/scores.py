"""How good a detector is: average precision, and how often it names the right side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from i2uv_jax.detection.boxes import FoundBoxes, intersection_over_union, square_boxes

SAME_HAND = 0.5
"""Intersection over union from which a box is that of the hand."""


@dataclass(frozen=True)
class TrueBoxes:
    """What the picture shows."""

    boxes: Float[np.ndarray, "m 4"]
    is_left: Bool[np.ndarray, "m"]
    is_doubtful: Bool[np.ndarray, "m"]
    """Hands that need not be found; finding them is no mistake either."""


def true_boxes(
    centre: Float[np.ndarray, "n 2"],
    side: Float[np.ndarray, "n"],
    is_left: Bool[np.ndarray, "n"],
    is_shown: Bool[np.ndarray, "n"],
    is_doubtful: Bool[np.ndarray, "n"],
    *,
    size: int,
) -> TrueBoxes:
    """The hands of one picture of a `types.SceneBatch`, whose fields these are, in its `size`
    pixels; size 1 leaves picture coordinates."""
    named = is_shown | is_doubtful
    boxes = size * square_boxes(centre[named], side[named])
    return TrueBoxes(boxes, is_left[named], is_doubtful[named])


def detection_scores(found: Sequence[FoundBoxes], true: Sequence[TrueBoxes]) -> dict[str, float]:
    """Scores over all pictures.

    "average_precision" is the area under the curve of precision over recall, precision made to fall
    with recall (PASCAL VOC since 2010), at an overlap of `SAME_HAND`; sides do not matter for it.
    "recall" is that of all boxes, "side_accuracy" the share of found hands with the right side,
    which a detector that tells no sides does not have. Where there is no hand, or none is found,
    the shares are 0.
    """
    scores, is_hit, side_is_right, num_hands = [], [], [], 0
    for answer, truth in zip(found, true, strict=True):
        num_hands += int((~truth.is_doubtful).sum())
        free = np.ones(len(truth.boxes), bool)
        overlap = intersection_over_union(answer.boxes, truth.boxes)
        for index in np.argsort(-answer.scores, kind="stable"):
            near = np.where(free & (overlap[index] >= SAME_HAND), overlap[index], 0)
            best = int(np.argmax(near)) if len(near) else 0
            hit = bool(len(near)) and near[best] > 0
            if hit and truth.is_doubtful[best]:
                continue
            if hit:
                free[best] = False
            if hit and answer.is_left is not None:
                side_is_right.append(answer.is_left[index] == truth.is_left[best])
            scores.append(answer.scores[index])
            is_hit.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum(np.array(is_hit, float)[order])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / max(num_hands, 1)
    result = {
        "average_precision": float((precision * np.diff(recall, prepend=0)).sum()),
        "recall": float(recall[-1]) if len(recall) else 0.0,
    }
    if all(answer.is_left is not None for answer in found):
        result["side_accuracy"] = float(np.mean(side_is_right)) if side_is_right else 0.0
    return result
