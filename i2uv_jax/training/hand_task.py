"""Training of the hand's network: losses on UV maps, errors in millimetres on unseen pictures."""

from functools import partial

from flax import linen as nn

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.training.pictures import draw_maps
from i2uv_jax.training.step import build_evaluation_step, build_loss
from i2uv_jax.training.task import Scores, Task, means


def hand_task(config: ExperimentConfig, model: nn.Module, source: BatchSource) -> Task:
    """The task of a `models.hand_net.HandNet` on the geometry of a source of data.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    tables = build_tables(source.atlas, config.model.uv_map_size)
    return Task(
        compute_loss=build_loss(config.loss, config.model, source),
        evaluation_step=build_evaluation_step(model, tables, source.keypoint_regressor),
        summarize=means,
        describe=_describe,
        draw=partial(draw_maps, atlas=source.atlas),
    )


def _describe(scores: Scores) -> str:
    return (
        f"on unseen pictures vertices {scores['aligned_vertex_mm']:.2f} mm, keypoints "
        f"{scores['aligned_keypoint_mm']:.2f} mm (aligned)"
    )
