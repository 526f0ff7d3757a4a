"""The compiled renderer for those who want pictures, not training steps: by key, or so many."""

from collections.abc import Callable, Iterator
from functools import cached_property

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from i2uv_jax.config import RenderConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.skeleton import SHAPE_NAMES
from i2uv_jax.ops.compiling import compiler_options
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.render.assets import RenderAssets, load_render_assets
from i2uv_jax.render.scene import sample_batch, sample_placements
from i2uv_jax.render.tones import monk_tones
from i2uv_jax.types import Batch

_AGE = SHAPE_NAMES.index("age")


class HandGenerator:
    """Renders batches of one size; compiled once, at the first batch or by `compile`.

    Where there are several devices that can share a batch evenly, each renders its part.
    """

    def __init__(
        self, config: RenderConfig, hand: Hand, batch_size: int, *, is_sequence: bool = False
    ) -> None:
        """Reads what the pictures are made of.

        Args:
          is_sequence: every batch holds the frames of one hand that moves.

        Raises:
          ValueError: a folder of textures or pictures that the config names cannot be used.
        """
        self.config = config
        self.hand = hand
        self.batch_size = batch_size
        devices = np.array(jax.devices())
        is_shared = len(devices) > 1 and batch_size % len(devices) == 0
        shards = NamedSharding(Mesh(devices, "batch"), PartitionSpec("batch"))
        sharding = shards if is_shared else None
        self._assets = on_every_device(load_render_assets(config, hand), sharding)

        def render(key: Array, assets: RenderAssets) -> Batch:
            return sample_batch(
                key, hand, config, batch_size, assets, sharding=sharding, is_sequence=is_sequence
            )

        self._render = jax.jit(render, out_shardings=sharding)

    @cached_property
    def compiled(self) -> jax.stages.Compiled:
        """The renderer's program, a function of a key and the assets."""
        lowered = self._render.lower(jax.random.key(0), self._assets)
        return lowered.compile(compiler_options())

    def __call__(self, key: Array) -> Batch:
        """The batch of a key. Returns at once: the device works on."""
        return self.compiled(key, self._assets)

    def batches(self, key: Array, count: int, *, first: int = 0) -> Iterator[Batch]:
        """`count` pictures in batches on the host (NumPy), the last one cut to fit.

        Batch i holds what key `fold_in(key, i)` gives, whatever the count. While a batch is being
        used, the device works on the next one.

        Args:
          first: index of the batch to begin with.
        """
        num_batches = -(-count // self.batch_size)
        keys = (jax.random.fold_in(key, first + index) for index in range(num_batches))
        ahead = self(next(keys)) if num_batches else None
        for index in range(num_batches):
            batch, ahead = ahead, self(next(keys)) if index + 1 < num_batches else None
            room = count - index * self.batch_size
            yield jax.tree.map(lambda leaf, room=room: leaf[:room], jax.device_get(batch))

    def monk_tones(self, key: Array, count: int) -> Int[np.ndarray, "n"] | None:
        """Tones on the Monk scale, 1 to 10, of the hands that `batches(key, count)` shows; None for
        the plain renderer."""
        if self._assets.skins is None:
            return None

        @jax.jit
        def tones(index: Array) -> Int[Array, "b"]:
            batch_key = jax.random.fold_in(key, index)
            return monk_tones(
                batch_key, self.hand, self.config, self.batch_size, self._assets.skins
            )

        return self._of_all(tones, count)

    def ages(self, key: Array, count: int) -> Float[np.ndarray, "n"]:
        """Ages of the hands that `batches(key, count)` shows, MakeHuman's from 0 (a baby) to 1
        (old)."""

        @jax.jit
        def ages(index: Array) -> Float[Array, "b"]:
            batch_key = jax.random.fold_in(key, index)
            return sample_placements(batch_key, self.hand, self.config, self.batch_size).shape[
                :, _AGE
            ]

        return self._of_all(ages, count)

    def _of_all(self, of_batch: Callable[[int], Array], count: int) -> np.ndarray:
        """What a function of a batch's index tells of `count` pictures."""
        batches = [of_batch(index) for index in range(-(-count // self.batch_size))]
        return np.concatenate(jax.device_get(batches))[:count]
