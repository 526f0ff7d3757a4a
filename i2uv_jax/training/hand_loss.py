"""What a network of hands is trained for: the losses of a config on the geometry of its data."""

from functools import partial

from jaxtyping import Array, Float

from i2uv_jax.config import HandNetConfig, LossConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.losses import mask_sizes, resolve_term, total_loss
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training.gradient import LossFunction, Metrics
from i2uv_jax.types import TrainingBatch


def build_loss(
    config: LossConfig, model_config: HandNetConfig, source: BatchSource
) -> LossFunction:
    """The weighted sum that a config describes, on the geometry of a source of data.

    Raises:
      ValueError: the config names a loss that does not exist, or two of one name.
    """
    for kind in ("stage_terms", "final_terms"):
        names = [resolve_term(term)[0] for term, _ in getattr(config, kind)]
        if repeated := [name for name in names if names.count(name) > 1]:
            # Reports have one number for a name.
            raise ValueError(f"loss.{kind}: expected different names, got {repeated[0]!r} twice")
    sizes = mask_sizes(config, model_config.stage_sizes, model_config.uv_map_size)
    texel_masks = {size: build_tables(source.atlas, size).texel_mask for size in sizes}
    tables = build_tables(source.atlas, model_config.uv_map_size)

    def compute_loss(
        output: HandNetOutput, batch: TrainingBatch
    ) -> tuple[Float[Array, ""], Metrics]:
        return total_loss(
            config,
            output,
            batch.uv_map,
            texel_masks,
            vertices_from_uv_map=partial(vertices_from_uv_map, tables),
            keypoint_regressor=source.keypoint_regressor,
        )

    return compute_loss
