"""Any source of hands' pictures, each of whose batches is trained on several times."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, PRNGKeyArray

from i2uv_jax.data.source import BatchSource
from i2uv_jax.data.variation import vary_batch
from i2uv_jax.types import Batch


class ReusedSource:
    """A `BatchSource` of another's batches: r of them at a time form a pool, from which r rounds of
    r batches are drawn, every round in an order of its own and every picture varied anew."""

    def __init__(
        self,
        source: BatchSource,
        reuse: int,
        key: PRNGKeyArray,
        sharding: NamedSharding,
        *,
        turn_degrees: float | None,
    ) -> None:
        """
        Args:
          source: of hands alone, without pictures of other things.
          reuse: how often each picture is trained on, r.
          key: decides orders and variations.
          sharding: of batches. A pool is split in the same way, and drawing moves its pictures
            between the devices.
          turn_degrees: see `vary_batch`.
        """
        self.atlas = source.atlas
        self.keypoint_regressor = source.keypoint_regressor
        self._source = source
        self._reuse = reuse
        self._key = key

        @partial(jax.jit, out_shardings=sharding)
        def draw(key: Array, step: Array, pool: Batch) -> Batch:
            order_key, vary_key = jax.random.split(key)
            round_key = jax.random.fold_in(order_key, step // reuse)
            num_pictures = len(pool.image)
            batch_size = num_pictures // reuse
            order = jax.random.permutation(round_key, num_pictures)
            chosen = jax.lax.dynamic_slice(order, [step % reuse * batch_size], [batch_size])
            batch = jax.tree.map(lambda leaf: leaf[chosen], pool)
            return vary_batch(jax.random.fold_in(vary_key, step), batch, turn_degrees=turn_degrees)

        self._draw = draw
        self._pool: tuple[int, Batch] | None = None

    def training_batch(self, step: int) -> Batch:
        """The batch to train on at a step; the same for the same step whatever came before."""
        index = step // self._reuse**2
        if self._pool is None or self._pool[0] != index:
            self._pool = None  # the old pool's memory goes before the new one's comes
            first = index * self._reuse
            batches = [self._source.training_batch(first + i) for i in range(self._reuse)]
            self._pool = (index, jax.tree.map(lambda *parts: jnp.concatenate(parts), *batches))
        return self._draw(self._key, step, self._pool[1])

    def evaluation_batches(self) -> Iterator[Batch]:
        """The other source's, as they are."""
        return self._source.evaluation_batches()

    def state(self, step: int) -> dict[str, Any]:
        """The other source's, before the batch from which the pool of a step begins."""
        return self._source.state(step // self._reuse**2 * self._reuse)
