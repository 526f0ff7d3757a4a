"""A number that tells whether arrays came back from a disk as they went there.

orbax and the storage below it notice files that are missing or cut short, but not a changed byte
within one.
"""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

_BITS = 32


def tree_fingerprint(tree: Any) -> int:
    """A 32-bit sum over the bits of all arrays, each value weighted by its place.

    Sums of integers do not depend on their order, so the number is the same however the arrays are
    split over devices and processes; all processes have to ask together. Weights are odd: a value
    that differs in any bits always changes the sum, and several that do change it but for one
    chance in four billion.

    It is computed on the host: compiling a sum over hundreds of arrays would take half a minute.
    """
    total = 0
    for index, leaf in enumerate(jax.tree.leaves(tree)):
        weight = pow(31, index, 2**_BITS)
        for shard in leaf.addressable_shards:
            if shard.replica_id == 0:
                total += weight * _shard_sum(np.asarray(shard.data), shard.index, leaf.shape)
    total %= 2**_BITS
    if jax.process_count() > 1:
        parts = multihost_utils.process_allgather(np.uint32(total))
        total = int(np.sum(parts, dtype=np.uint32))
    return total


def _shard_sum(values: np.ndarray, index: tuple[slice, ...], shape: tuple[int, ...]) -> int:
    """Sum of the bits of values that stand at `index` of an array of `shape`, modulo 2^32."""
    places = np.zeros((1,) * len(shape), np.uint32)
    stride = 1
    for axis in reversed(range(len(shape))):
        along = np.arange(*index[axis].indices(shape[axis]), dtype=np.uint32)
        along = (along * np.uint32(stride % 2**_BITS)).reshape(-1, *[1] * (len(shape) - 1 - axis))
        places = places + along
        stride *= shape[axis]
    bits = np.ascontiguousarray(values).reshape(-1).view(f"uint{8 * values.dtype.itemsize}")
    # uint32 arithmetic wraps around, which is what is wanted.
    weights = 2 * places.reshape(-1) + np.uint32(1)
    return int(np.sum(bits.astype(np.uint32) * weights, dtype=np.uint32))
