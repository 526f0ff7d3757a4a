"""Named streams of random numbers, so that one seed never gives two purposes the same key.

`jax.random.split(key, n)[i]` and `jax.random.fold_in(key, i)` are one and the same key. Purposes
that are told apart by small numbers would therefore share keys with the batches, shards and rounds
that are counted from zero.
"""

from dataclasses import dataclass
from enum import IntEnum

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from i2uv_jax.config import AnyExperimentConfig

_FIRST = 2**31
"""Above all that is counted."""


class Stream(IntEnum):
    """What random numbers are for. The numbers are part of what a seed means: none is ever changed
    or given to another purpose."""

    TRAINING = 0
    EVALUATION = 1
    STORED_SET = 2
    PICTURES = 3
    REUSE = 4
    VARIATION = 5
    HANDLESS = 6
    TOLD_KEYPOINTS = 7
    SURFACE_PAIRS = 8
    SCENE_POOLS = 9
    SCENES = 10
    SEEN_KEYPOINTS = 11


@dataclass(frozen=True)
class SourceKeys:
    """What decides the batches of a source: in training, and in the evaluation set."""

    training: PRNGKeyArray
    evaluation: PRNGKeyArray

    def of(self, stream: Stream) -> "SourceKeys":
        """The keys of one purpose."""
        return SourceKeys(stream_key(self.training, stream), stream_key(self.evaluation, stream))


def source_keys(config: AnyExperimentConfig) -> SourceKeys:
    """The keys of a run; unlike ones even if both its seeds are the same."""
    return SourceKeys(
        training=stream_key(jax.random.key(config.train.seed), Stream.TRAINING),
        evaluation=stream_key(jax.random.key(config.evaluation.seed), Stream.EVALUATION),
    )


def stream_key(key: PRNGKeyArray, stream: Stream) -> PRNGKeyArray:
    """The key of one purpose; unlike that of every other, and unlike `fold_in(key, i)` and the
    parts of `split(key, n)` for i and n up to 2^31."""
    return jax.random.fold_in(key, np.uint32(_FIRST + stream))
