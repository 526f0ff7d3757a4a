"""Pictures without a hand beside a batch's own."""

from functools import partial

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array

from i2uv_jax.config import RenderConfig
from i2uv_jax.data.extended import Extension
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.render.assets import load_backgrounds
from i2uv_jax.render.handless import sample_handless
from i2uv_jax.types import Batch


def handless_extension(config: RenderConfig, sharding: NamedSharding, count: int) -> Extension:
    """What fills the `Batch.handless` of a batch. Compiles nothing yet.

    Args:
      config: of pictures of the size that the model takes.
      count: pictures for each batch.

    Raises:
      ValueError: the folder of backgrounds that the config names cannot be used.
    """

    @partial(jax.jit, out_shardings=sharding)
    def draw(key: Array, index: Array, pictures: Array | None) -> Array:
        key = jax.random.fold_in(key, index)
        return sample_handless(key, config, count, pictures, sharding=sharding)

    pictures = on_every_device(load_backgrounds(config.background), sharding)

    def extend(key: Array, index: int, batch: Batch) -> Batch:
        return batch.replace(handless=draw(key, index, pictures))

    return extend
