"""Training of SRNet alone: losses on UV maps, surfaces before and after on unseen pairs."""

from functools import partial
from operator import itemgetter

from flax import linen as nn

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.training.hand_loss import build_loss
from i2uv_jax.training.pictures import draw_maps
from i2uv_jax.training.surface_evaluation import build_surface_evaluation_step
from i2uv_jax.training.task import Scores, Task, means


def surface_task(config: ExperimentConfig, model: nn.Module, source: BatchSource) -> Task:
    """The task of a `models.hand_net.HandNet` without AffineNet, on a source of pairs.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    tables = build_tables(source.atlas, config.model.uv_map_size)
    return Task(
        compute_loss=build_loss(config.loss, config.model, source),
        evaluation_step=build_surface_evaluation_step(model, tables),
        summarize=means,
        describe=describe,
        error=itemgetter("surface_mm"),
        draw=partial(draw_maps, atlas=source.atlas),
    )


def describe(scores: Scores) -> str:
    """Surfaces and normals of pairs, coarse and refined, as a sentence says them."""
    refined, coarse = scores["surface_mm"], scores["coarse_surface_mm"]
    share = f" ({refined / coarse:.0%})" if coarse else ""
    return (
        f"on unseen pairs surfaces {coarse:.3f} -> {refined:.3f} mm{share}, normals "
        f"{scores['coarse_normal_degrees']:.1f} -> {scores['normal_degrees']:.1f} degrees"
    )
