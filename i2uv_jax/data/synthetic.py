"""The renderer as a source of batches: made on the device, a pure function of seed and step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.streams import SourceKeys, Stream
from i2uv_jax.data.variation import vary_batch
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.render.assets import RenderAssets, load_render_assets
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.types import Batch

_UPRIGHT_TURN_DEGREES = 15.0
"""How far pictures are turned anew where most hands are to stay upright."""


class SyntheticSource:
    """A `BatchSource` that renders the shipped hand.

    Rendering is jitted apart from the training step: the two compile, and can be timed, each for
    itself. Batches are born on the devices that will use them.

    With `data.reuse` = r above 1, r batches at a time form a pool, from which r rounds of r batches
    are drawn, every round in an order of its own and every picture varied anew.
    """

    def __init__(self, config: ExperimentConfig, keys: SourceKeys, sharding: NamedSharding) -> None:
        """Renders pictures and UV maps of the sizes that the config's model takes and gives.

        Raises:
          ValueError: a folder of textures or pictures that the config names cannot be used.
        """
        hand = load_hand()
        self.atlas = hand.atlas
        self.keypoint_regressor = hand.keypoint_regressor
        self._picture_keys = keys.of(Stream.PICTURES)
        self._reuse_key = keys.of(Stream.REUSE).training
        self._reuse = reuse = config.data.reuse
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

        @partial(jax.jit, out_shardings=sharding)
        def draw(key: Array, step: Array, pool: Batch) -> Batch:
            order_key, vary_key = jax.random.split(key)
            round_key = jax.random.fold_in(order_key, step // reuse)
            order = jax.random.permutation(round_key, reuse * batch_size)
            chosen = jax.lax.dynamic_slice(order, [step % reuse * batch_size], [batch_size])
            batch = jax.tree.map(lambda leaf: leaf[chosen], pool)
            # Any turn would undo the renderer's preference for upright hands.
            is_upright = max(render_config.upright_share, render_config.closeup_share) > 0
            turn_degrees = _UPRIGHT_TURN_DEGREES if is_upright else None
            return vary_batch(jax.random.fold_in(vary_key, step), batch, turn_degrees=turn_degrees)

        assets = on_every_device(load_render_assets(render_config, hand), sharding)
        self._render = partial(render, assets=assets)
        self._draw = draw
        self._pool: tuple[int, Batch] | None = None

    def training_batch(self, step: int) -> Batch:
        """The batch to train on at a step; the same for the same step whatever came before."""
        if self._reuse == 1:
            return self._render(self._picture_keys.training, step)
        index = step // self._reuse**2
        if self._pool is None or self._pool[0] != index:
            self._pool = None  # the old pool's memory goes before the new one's comes
            first = index * self._reuse
            key = self._picture_keys.training
            batches = [self._render(key, first + i) for i in range(self._reuse)]
            self._pool = (index, jax.tree.map(lambda *parts: jnp.concatenate(parts), *batches))
        return self._draw(self._reuse_key, step, self._pool[1])

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call."""
        for index in range(self._num_evaluation_batches):
            yield self._render(self._picture_keys.evaluation, index)

    def state(self, step: int) -> dict[str, Any]:
        """Nothing: the run's config, which decides all pictures, is kept beside checkpoints."""
        return {}
