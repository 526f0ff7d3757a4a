"""Any source of hands' pictures, with something added to each of its batches."""

from collections.abc import Callable, Iterator
from typing import Any

from jaxtyping import Array

from i2uv_jax.data.source import BatchSource
from i2uv_jax.data.streams import SourceKeys
from i2uv_jax.types import Batch

Extension = Callable[[Array, int, Batch], Batch]
"""Adds something to a batch: (key, index of the batch, batch) to the fuller batch."""


class ExtendedSource:
    """A `BatchSource` of another's batches, each extended anew at every step."""

    def __init__(
        self,
        source: BatchSource,
        extend: Extension,
        keys: SourceKeys,
        *,
        depends_on: dict[str, Any] | None = None,
    ) -> None:
        """
        Args:
          source: of hands.
          keys: decide what is added.
          depends_on: what else it follows from but the run's config; becomes part of the state.
        """
        self.atlas = source.atlas
        self.keypoint_regressor = source.keypoint_regressor
        self._source = source
        self._extend = extend
        self._keys = keys
        self._depends_on = depends_on or {}

    def training_batch(self, step: int) -> Batch:
        """The batch of a step; the same for the same step whatever came before."""
        return self._extend(self._keys.training, step, self._source.training_batch(step))

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call."""
        for index, batch in enumerate(self._source.evaluation_batches()):
            yield self._extend(self._keys.evaluation, index, batch)

    def state(self, step: int) -> dict[str, Any]:
        """The other source's, and what the additions depend on."""
        return {**self._source.state(step), **self._depends_on}
