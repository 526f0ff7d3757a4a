"""Training of the hand's network: losses on UV maps, errors in millimetres on unseen pictures."""

import numpy as np
from flax import linen as nn
from jaxtyping import Float, UInt8

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.training.step import build_evaluation_step, build_loss
from i2uv_jax.training.task import Scores, Task
from i2uv_jax.types import Batch


def hand_task(config: ExperimentConfig, model: nn.Module, source: BatchSource) -> Task:
    """The task of a `models.hand_net.HandNet` on the geometry of a source of data.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    tables = build_tables(source.atlas, config.model.uv_map_size)
    return Task(
        compute_loss=build_loss(config.loss, config.model, source),
        evaluation_step=build_evaluation_step(model, tables, source.keypoint_regressor),
        summarize=_summarize,
        describe=_describe,
        draw=_draw,
    )


def _summarize(rows: dict[str, np.ndarray]) -> Scores:
    return {name: float(values.mean()) for name, values in rows.items()}


def _describe(scores: Scores) -> str:
    return (
        f"vertices {scores['aligned_vertex_mm']:.2f} mm, keypoints "
        f"{scores['aligned_keypoint_mm']:.2f} mm (aligned)"
    )


def _draw(batch: Batch, uv_map: Float[np.ndarray, "b m m 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Each picture with its predicted and true UV map, one below another."""
    rows = zip(batch.image, uv_map, batch.uv_map, strict=True)
    return np.concatenate([_comparison(*row) for row in rows])


def _comparison(
    image: Float[np.ndarray, "h w 3"],
    predicted_uv_map: Float[np.ndarray, "m m 3"],
    true_uv_map: Float[np.ndarray, "m m 3"],
) -> UInt8[np.ndarray, "h 3*w 3"]:
    """Input, predicted and true UV map side by side, the maps as colours.

    Red is x, green is y, blue is z; z counts from the wrist and is shown around mid-blue.
    """
    height, width = image.shape[:2]
    panels = [image]
    for uv_map in (predicted_uv_map, true_uv_map):
        rows = np.arange(height) * uv_map.shape[0] // height
        columns = np.arange(width) * uv_map.shape[1] // width
        panels.append(uv_map[rows][:, columns] + np.array([0.0, 0.0, 0.5]))
    return (255 * np.clip(np.concatenate(panels, axis=1), 0, 1)).round().astype(np.uint8)
