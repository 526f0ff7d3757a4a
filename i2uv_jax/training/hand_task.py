"""Training of the hand's network: losses on UV maps, errors in millimetres on unseen pictures."""

from dataclasses import replace
from functools import partial
from operator import attrgetter, itemgetter

from flax import linen as nn
from jax.sharding import Mesh

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.training.hand_evaluation import build_evaluation_step, mean_scores
from i2uv_jax.training.hand_loss import build_loss
from i2uv_jax.training.negatives import build_network_inputs, build_presence_loss
from i2uv_jax.training.pictures import draw_maps
from i2uv_jax.training.task import Scores, Task


def hand_task(config: ExperimentConfig, model: nn.Module, source: BatchSource, mesh: Mesh) -> Task:
    """The task of a `models.hand_net.HandNet` on the geometry of a source of data.

    Args:
      mesh: the devices that share each batch.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    tables = build_tables(source.atlas, config.model.uv_map_size)
    task = Task(
        compute_loss=build_loss(config.loss, config.model, source),
        evaluation_step=build_evaluation_step(model, tables, source.keypoint_regressor),
        summarize=mean_scores,
        describe=_describe,
        error=itemgetter("aligned_vertex_mm"),
        draw=partial(draw_maps, atlas=source.atlas),
    )
    if config.model.takes_keypoints:
        task = replace(task, network_inputs=attrgetter("image", "told_keypoints"))
    weight = config.loss.presence_weight
    if weight == 0:
        return task
    return replace(
        task,
        compute_loss=build_presence_loss(task.compute_loss, weight, mesh),
        network_inputs=build_network_inputs(config.loss.absent_share, mesh),
    )


def _describe(scores: Scores) -> str:
    text = (
        f"on unseen pictures vertices {scores['aligned_vertex_mm']:.2f} mm, keypoints "
        f"{scores['aligned_keypoint_mm']:.2f} mm (aligned)"
    )
    if "told_aligned_vertex_mm" in scores:
        text += f", vertices {scores['told_aligned_vertex_mm']:.2f} mm where keypoints "
        text += f"are told ({scores['told_share']:.0%})"
    if "side_accuracy" in scores:
        text += f", {scores['side_accuracy']:.1%} told from their mirror images"
    if "expected_texel_mm" in scores:
        text += (
            f", texels {scores['texel_mm']:.2f} mm where {scores['expected_texel_mm']:.2f} mm are "
            "expected"
        )
    return text
