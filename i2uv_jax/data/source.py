"""What training asks of any source of data, be it a renderer on the device or files on a disk."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.types import TrainingBatch


class BatchSource(Protocol):
    """Batches by step number, and the geometry that gives them their meaning.

    A source hands out the same batch for the same step, whatever was asked for before: a resumed
    run then sees what the uninterrupted one would have seen.
    """

    atlas: Atlas | None
    """Ties the texels of the batches' UV maps to the vertices of their mesh; None where batches are
    scenes, which have no maps."""
    keypoint_regressor: Float[np.ndarray, "21 v"] | None
    """Keypoints as weighted means of vertices; None for scenes."""

    def training_batch(self, step: int) -> TrainingBatch:
        """The batch to train on at a step, sharded over the devices that share the work."""
        ...

    def evaluation_batches(self) -> Iterator[TrainingBatch]:
        """The whole evaluation set, in batches of the training batch's shape."""
        ...

    def state(self, step: int) -> dict[str, Any]:
        """Where the source stands before a step, and all that its order depends on; JSON's types.

        A checkpoint keeps it. Since batches go by step there is nothing to restore; a run that is
        resumed with a source of another state would not be the one that was interrupted.
        """
        ...
