"""Any source of hands' pictures, and with each of its batches pictures without a hand."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.render.assets import load_backgrounds
from i2uv_jax.render.handless import sample_handless
from i2uv_jax.types import Batch


class HandlessSource:
    """A `BatchSource` that fills the `Batch.handless` of another's batches, anew at every step."""

    def __init__(
        self,
        source: BatchSource,
        config: ExperimentConfig,
        key: Array,
        sharding: NamedSharding,
        count: int,
    ) -> None:
        """Compiles nothing yet.

        Args:
          source: of hands.
          key: decides the pictures that training sees.
          count: pictures for each batch.

        Raises:
          ValueError: the folder of backgrounds that the config names cannot be used.
        """
        self.atlas = source.atlas
        self.keypoint_regressor = source.keypoint_regressor
        self._source = source
        self._key = key
        self._evaluation_key = jax.random.key(config.evaluation.seed)
        view = replace(config.render, image_size=config.model.image_size)

        @partial(jax.jit, out_shardings=sharding)
        def draw(key: Array, index: Array, pictures: Array | None) -> Array:
            key = jax.random.fold_in(key, index)
            return sample_handless(key, view, count, pictures, sharding=sharding)

        pictures = jax.tree.map(jnp.asarray, load_backgrounds(view.background))
        self._draw = partial(draw, pictures=pictures)

    def training_batch(self, step: int) -> Batch:
        """The batch of a step; the same for the same step whatever came before."""
        batch = self._source.training_batch(step)
        return batch.replace(handless=self._draw(self._key, step))

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call."""
        for index, batch in enumerate(self._source.evaluation_batches()):
            yield batch.replace(handless=self._draw(self._evaluation_key, index))

    def state(self, step: int) -> dict[str, Any]:
        """The other source's: pictures without hands follow from the run's config."""
        return self._source.state(step)
