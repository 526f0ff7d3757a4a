"""Training of the detector: focal loss on heat maps, average precision on unseen scenes."""

import numpy as np
from flax import linen as nn
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import pick_boxes, square_boxes
from i2uv_jax.detection.loss import detection_loss
from i2uv_jax.detection.peaks import Peaks, find_peaks
from i2uv_jax.detection.scores import TrueBoxes, detection_scores
from i2uv_jax.training.task import Scores, Task
from i2uv_jax.types import SceneBatch

_DRAWN_SCORE = 0.3
_TRUE_COLOUR, _LEFT_COLOUR, _RIGHT_COLOUR = (255, 255, 255), (255, 60, 60), (60, 255, 60)


def detector_task(model: nn.Module) -> Task:
    """The task of a `models.detector.Detector`."""

    def evaluation_step(variables: dict, batch: SceneBatch) -> tuple[Peaks, dict]:
        peaks = find_peaks(model.apply(variables, batch.image, train=False))
        rows = {
            "centre": peaks.centre,
            "side": peaks.side,
            "score": peaks.score,
            "left_share": peaks.left_share,
            "true_centre": batch.centre,
            "true_side": batch.side,
            "true_is_left": batch.is_left,
            "true_is_shown": batch.is_shown,
            "true_is_doubtful": batch.is_doubtful,
        }
        return peaks, rows

    return Task(
        compute_loss=detection_loss,
        evaluation_step=evaluation_step,
        summarize=_summarize,
        describe=_describe,
        draw=_draw,
    )


def _summarize(rows: dict[str, np.ndarray]) -> Scores:
    found, true = [], []
    for index in range(len(rows["score"])):
        row = {name: values[index] for name, values in rows.items()}
        found.append(pick_boxes(*(row[name] for name in ("centre", "side", "score", "left_share"))))
        named = row["true_is_shown"] | row["true_is_doubtful"]
        true_boxes = square_boxes(row["true_centre"], row["true_side"])
        true.append(
            TrueBoxes(true_boxes[named], row["true_is_left"][named], row["true_is_doubtful"][named])
        )
    return detection_scores(found, true)


def _describe(scores: Scores) -> str:
    return (
        f"average precision {scores['average_precision']:.3f}, right side of "
        f"{100 * scores['side_accuracy']:.1f} %"
    )


def _draw(batch: SceneBatch, peaks: Peaks) -> UInt8[np.ndarray, "h w 3"]:
    """Scenes in a row with the true boxes (white) and what was found: left red, right green."""
    pictures = []
    for index, image in enumerate(batch.image):
        picture = np.round(255 * image).astype(np.uint8)
        true = square_boxes(batch.centre[index], batch.side[index])
        for box in true[batch.is_shown[index]]:
            _outline(picture, box, _TRUE_COLOUR)
        found = square_boxes(peaks.centre[index], peaks.side[index])
        for box, score, left in zip(
            found, peaks.score[index], peaks.left_share[index], strict=True
        ):
            if score > _DRAWN_SCORE:
                _outline(picture, box, _LEFT_COLOUR if left > 0.5 else _RIGHT_COLOUR)
        pictures.append(picture)
    return np.concatenate(pictures, axis=1)


def _outline(picture: np.ndarray, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    size = len(picture)
    left, top, right, bottom = np.clip(np.round(box * size).astype(int), 0, size - 1)
    picture[[top, bottom], left : right + 1] = colour
    picture[top : bottom + 1, [left, right]] = colour
