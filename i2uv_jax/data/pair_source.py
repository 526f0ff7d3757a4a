"""Pairs for SRNet as a source of batches: pure functions of seed and step, wherever they come from.

What differs between generated surfaces, registered scans (`scan_pairs.py`) and a frozen AffineNet's
maps (`training/frozen_affine.py`) is a `PairMaker`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array, PRNGKeyArray

from i2uv_jax.config import ExperimentConfig, RenderConfig
from i2uv_jax.data.streams import SourceKeys
from i2uv_jax.data.surface_pairs import sample_pair, turn_pairs
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.ops.devices import on_every_device, on_own_device
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.types import SurfacePairs


@dataclass(frozen=True)
class PairMaker:
    """How batches of pairs are made."""

    sample: Callable[[PRNGKeyArray, Any, Array, bool], SurfacePairs]
    """Maps a key, `arrays`, the batch's number and whether it is for training to a batch;
    jit-able."""
    arrays: Any = ()
    """What pairs are made of: kept on every device, no constants of the compiled program."""
    identity: dict[str, Any] = field(default_factory=dict)
    """Of JSON's types: tells in checkpoints what the pairs were made of, besides the config."""


class PairSource:
    """A `BatchSource` of pairs, those for training turned in the picture's plane."""

    def __init__(
        self,
        config: ExperimentConfig,
        keys: SourceKeys,
        sharding: NamedSharding,
        maker: PairMaker,
    ) -> None:
        """Compiles nothing yet.

        Args:
          keys: decide every pair of the run.
          sharding: of batches.
        """
        hand = load_hand()
        self.atlas = hand.atlas
        self.keypoint_regressor = hand.keypoint_regressor
        self._keys = keys
        self._num_evaluation_batches = -(-config.evaluation.num_images // config.train.batch_size)
        self._identity = maker.identity
        arrays = on_every_device(maker.arrays, sharding)

        @partial(jax.jit, out_shardings=sharding, static_argnums=3)
        def make(key: Array, index: Array, arrays: Any, is_training: bool) -> SurfacePairs:
            key = jax.random.fold_in(key, index)
            pairs = maker.sample(key, arrays, index, is_training)
            if is_training:
                turn_key = jax.random.fold_in(key, 1)
                pairs = turn_pairs(turn_key, pairs, config.data.turn_degrees)
            return pairs

        self._make = lambda key, index, is_training: make(key, index, arrays, is_training)

    def training_batch(self, step: int) -> SurfacePairs:
        """The batch to train on at a step; the same for the same step whatever came before."""
        return self._make(self._keys.training, step, True)

    def evaluation_batches(self) -> Iterator[SurfacePairs]:
        """The whole evaluation set: the same pairs at every call."""
        for index in range(self._num_evaluation_batches):
            yield self._make(self._keys.evaluation, index, False)

    def state(self, step: int) -> dict[str, Any]:
        """What the pairs are made of; all else is in the run's config."""
        return self._identity


def generated_pairs(config: ExperimentConfig, sharding: NamedSharding) -> PairMaker:
    """Pairs of random hands: none is ever seen twice."""
    hand, view = load_hand(), pair_view(config)
    batch_size = config.train.batch_size

    def sample_all(keys: PRNGKeyArray) -> SurfacePairs:
        return jax.vmap(lambda key: sample_pair(key, hand, config.surface_pairs, view))(keys)

    def sample(key: PRNGKeyArray, arrays: Any, index: Array, is_training: bool) -> SurfacePairs:
        return on_own_device(sample_all, sharding)(jax.random.split(hash_key(key), batch_size))

    return PairMaker(sample)


def pair_view(config: ExperimentConfig) -> RenderConfig:
    """Where the hands of pairs stand, and maps of SRNet's size."""
    return replace(config.render, uv_map_size=config.model.uv_map_size)


def check_hand(folder: object, fingerprint: str | None, hand: Hand) -> None:
    """Raises ValueError if maps are laid out on another UV chart than the hand's."""
    if fingerprint not in (None, hand.atlas.fingerprint):
        raise ValueError(
            f"{folder}: its UV maps are laid out on another chart ({fingerprint}) than the hand's "
            f"({hand.atlas.fingerprint})"
        )
