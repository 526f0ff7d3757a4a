"""The renderer as a source of batches: made on the device, a pure function of seed and step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.streams import SourceKeys, Stream
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.render.assets import RenderAssets, load_render_assets
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.types import Batch


class SyntheticSource:
    """A `BatchSource` that renders the shipped hand.

    Rendering is jitted apart from the training step: the two compile, and can be timed, each for
    itself. Batches are born on the devices that will use them.
    """

    def __init__(self, config: ExperimentConfig, keys: SourceKeys, sharding: NamedSharding) -> None:
        """Renders pictures and UV maps of the sizes that the config's model takes and gives.

        Raises:
          ValueError: a folder of textures or pictures that the config names cannot be used.
        """
        hand = load_hand()
        self.atlas = hand.atlas
        self.keypoint_regressor = hand.keypoint_regressor
        self._keys = keys.of(Stream.PICTURES)
        batch_size = config.train.batch_size
        self._num_evaluation_batches = -(-config.evaluation.num_images // batch_size)
        render_config = replace(
            config.render,
            image_size=config.model.image_size,
            uv_map_size=config.model.uv_map_size,
        )

        # Step and key are arguments, so every batch of the run comes from one compilation.
        @partial(jax.jit, out_shardings=sharding)
        def render(key: Array, index: Array, assets: RenderAssets) -> Batch:
            key = jax.random.fold_in(key, index)
            return sample_batch(key, hand, render_config, batch_size, assets, sharding=sharding)

        assets = on_every_device(load_render_assets(render_config, hand), sharding)
        self._render = partial(render, assets=assets)

    def training_batch(self, step: int) -> Batch:
        """The batch to train on at a step; the same for the same step whatever came before."""
        return self._render(self._keys.training, step)

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call."""
        for index in range(self._num_evaluation_batches):
            yield self._render(self._keys.evaluation, index)

    def state(self, step: int) -> dict[str, Any]:
        """Nothing: the run's config, which decides all pictures, is kept beside checkpoints."""
        return {}
