"""Training of the detector: focal loss on heat maps, average precision on unseen scenes."""

import jax
import numpy as np
from flax import linen as nn
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import FoundBoxes, pick_boxes
from i2uv_jax.detection.drawing import boxes_over
from i2uv_jax.detection.loss import detection_loss
from i2uv_jax.detection.peaks import Peaks, find_peaks
from i2uv_jax.detection.scores import detection_scores, true_boxes
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.training.task import Scores, Task
from i2uv_jax.types import SceneBatch

_TRUTH = ("centre", "side", "is_left", "is_shown", "is_doubtful")
"""Fields of a `SceneBatch` that answers are compared with."""


def detector_task(model: nn.Module) -> Task:
    """The task of a `models.detector.Detector`."""

    def evaluation_step(variables: dict, batch: SceneBatch) -> tuple[Peaks, dict]:
        peaks = find_peaks(model.apply(variables, batch.image, train=False))
        rows = {f"true_{name}": getattr(batch, name) for name in _TRUTH}
        return peaks, {**rows, **vars(peaks)}

    return Task(
        compute_loss=detection_loss,
        evaluation_step=evaluation_step,
        summarize=_summarize,
        describe=_describe,
        error=lambda scores: 1 - scores["average_precision"],
        draw=_draw,
    )


def _summarize(rows: dict[str, np.ndarray]) -> Scores:
    found, true = [], []
    for index in range(len(rows["score"])):
        row = {name: values[index] for name, values in rows.items()}
        truth = {name: row.pop(f"true_{name}") for name in _TRUTH}
        found.append(pick_boxes(**row))
        true.append(true_boxes(**truth, size=1))
    return detection_scores(found, true)


def _describe(scores: Scores) -> str:
    return (
        f"on unseen pictures average precision {scores['average_precision']:.3f}, right side of "
        f"{100 * scores['side_accuracy']:.1f} %"
    )


def _draw(batch: SceneBatch, peaks: Peaks) -> UInt8[np.ndarray, "h w 3"]:
    """Scenes in a row with true and found boxes."""
    pictures = []
    size = batch.image.shape[1]
    for index, image in enumerate(batch.image):
        found = pick_boxes(**vars(jax.tree.map(lambda leaf, row=index: leaf[row], peaks)))
        scaled = FoundBoxes(size * found.boxes, found.scores, found.is_left)
        truth = {name: getattr(batch, name)[index] for name in _TRUTH}
        pixels = to_bytes(image)
        pictures.append(boxes_over(pixels, scaled, true_boxes(**truth, size=size)))
    return np.concatenate(pictures, axis=1)
