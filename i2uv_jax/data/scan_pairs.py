"""Registered scans as pairs for SRNet: each seen by a random camera every time.

A folder of `data.sets` holds either the files of `i2uv data register`, or a set that
`i2uv data build --set uv_maps` made of them.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from flax import struct
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int, PRNGKeyArray

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.layouts.uv_maps import list_uv_maps, read_uv_maps
from i2uv_jax.data.pair_source import PairMaker, check_hand, pair_view
from i2uv_jax.data.stored_set import quiet_readers
from i2uv_jax.data.surface_pairs import view_of_scan
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.ops.devices import on_own_device
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.types import SurfacePairs

_HELD_OUT_SHARE = 0.2
"""Of the first set's scans, the last ones; a whole number of scans, at least one."""


@struct.dataclass
class _Scans:
    """All scans of all sets, one after the other."""

    coarse: Float[Array, "n m m 3"]
    fine: Float[Array, "n m m 3"]
    training_chances: Float[Array, "n"]
    held_out: Int[Array, "h"]


def scan_pairs(config: ExperimentConfig, sharding: NamedSharding) -> PairMaker:
    """Pairs of the sets that `config.data.sets` names; all maps are kept in the devices' memory.

    Scans are drawn evenly within a set, with replacement. Those held out are shown in turn.

    Raises:
      ValueError: one line: a folder holds no scans, too few, or maps of another UV chart.
    """
    hand, view = load_hand(), pair_view(config)
    batch_size, size = config.train.batch_size, view.uv_map_size
    sets = [_read_set(Path(folder), hand, size) for folder, _ in config.data.sets]
    scans = _joined(sets, config)

    def view_all(keys, coarse, fine) -> SurfacePairs:
        return jax.vmap(
            lambda key, *maps: view_of_scan(key, hand, *maps, config.surface_pairs, view)
        )(keys, coarse, fine)

    def sample(key: PRNGKeyArray, scans: _Scans, index: Array, is_training: bool) -> SurfacePairs:
        choice_key, view_key = jax.random.split(hash_key(key))
        if is_training:
            count = len(scans.training_chances)
            chosen = jax.random.choice(choice_key, count, (batch_size,), p=scans.training_chances)
        else:
            chosen = scans.held_out[
                (index * batch_size + np.arange(batch_size)) % len(scans.held_out)
            ]
        keys = jax.random.split(view_key, batch_size)
        return on_own_device(view_all, sharding)(keys, scans.coarse[chosen], scans.fine[chosen])

    identity = {
        "scans": [len(maps) for maps in sets],
        "checksums": [zlib.crc32(np.ascontiguousarray(maps)) for maps in sets],
        "weights": [weight for _, weight in config.data.sets],
    }
    return PairMaker(sample, scans, identity)


def _joined(sets: list[np.ndarray], config: ExperimentConfig) -> _Scans:
    first = config.data.sets[0][0]
    num_held_out = max(1, int(_HELD_OUT_SHARE * len(sets[0])))
    if len(sets[0]) <= num_held_out:
        raise ValueError(f"{first}: too few scans ({len(sets[0])}) to keep some for evaluation")
    chances = []
    for index, (maps, (_, weight)) in enumerate(zip(sets, config.data.sets, strict=True)):
        held_out = num_held_out if index == 0 else 0
        taken = len(maps) - held_out
        chances.append(np.concatenate([np.full(taken, weight / taken), np.zeros(held_out)]))
    chances = np.concatenate(chances)
    maps = np.concatenate(sets)
    return _Scans(
        coarse=maps[:, 0],
        fine=maps[:, 1],
        training_chances=(chances / chances.sum()).astype(np.float32),
        held_out=np.arange(len(sets[0]) - num_held_out, len(sets[0])),
    )


def _read_set(folder: Path, hand: Hand, size: int) -> Float[np.ndarray, "n 2 m m 3"]:
    """(coarse, fine) maps of all scans of a folder, at the wanted size."""
    return np.stack(
        [
            np.asarray(resize_corner_aligned(jnp.stack(pair), (size, size)))
            for pair in _read_pairs(folder, hand)
        ]
    )


def _read_pairs(folder: Path, hand: Hand) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if not (folder / "dataset_info.json").is_file():
        for path in list_uv_maps(folder):
            pair = read_uv_maps(path, hand.atlas.fingerprint)
            yield pair.coarse_uv_map, pair.uv_map
        return
    for sample in _stored_samples(folder, hand):
        yield sample["coarse_uv_map"], sample["uv_map"]


def _stored_samples(folder: Path, hand: Hand) -> Any:
    quiet_readers()
    try:
        builder = tfds.builder_from_directory(folder)
        settings = (builder.info.metadata or {}).get("settings", {})
        fields = set(builder.info.features)
        samples = builder.as_data_source(split="train")
    # tensorflow-datasets raises whatever its parsers raise.
    except Exception as error:
        raise ValueError(
            f"{folder}: not a stored set that can be read ({' '.join(str(error).split())})"
        ) from error
    if not {"uv_map", "coarse_uv_map"} <= fields:
        raise ValueError(f"{folder}: holds no UV maps of scans, which an SRNet alone learns from")
    check_hand(folder, settings.get("atlas"), hand)
    return samples
