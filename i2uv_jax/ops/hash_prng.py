"""PRNG keys whose random numbers compile to a few operations.

Each call of JAX's own generator (Threefry) becomes a loop of some fifteen kernels on CPUs, and adds
about half a second to the compile time; a renderer with a hundred calls takes a minute. Keys made
by `hash_key` serve all functions of `jax.random` just the same, and may be split, vmapped and
sharded. A 64-bit key and a counter go through three rounds of an integer hash, so numbers are the
same on every backend. Good for pictures, not for cryptography.
"""

import math

import jax
import jax.extend.random
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PRNGKeyArray, UInt32

from i2uv_jax.ops.hashing import hash_bits

# What sets the numbers of each use of one key apart (digits of pi).
_SPLIT = (0x243F6A88, 0x85A308D3)
_FOLD = (0x13198A2E, 0x03707344)
_DRAW = 0xA4093822


def hash_key(key: PRNGKeyArray) -> PRNGKeyArray:
    """A key of the light generator from a Threefry key (a scalar, or any number of them)."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=HASH_PRNG)


def _words(key: UInt32[Array, "2"], counter: UInt32[Array, "*n"], use: int) -> UInt32[Array, "*n"]:
    """For a fixed key and use a permutation of all 32-bit counters, as a block cipher's."""
    mixed = hash_bits(hash_bits(counter ^ key[0]) + key[1] + jnp.uint32(use))
    return hash_bits(mixed ^ key[0])


def _count(shape: tuple[int, ...]) -> UInt32[Array, "*n"]:
    return lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)


def _seed(seed: Array) -> UInt32[Array, "2"]:
    return _fold_in(jnp.zeros(2, jnp.uint32), seed)


def _split(key: UInt32[Array, "2"], shape: tuple[int, ...]) -> UInt32[Array, "*n 2"]:
    return _settle(jnp.stack([_words(key, _count(shape), use) for use in _SPLIT], axis=-1))


def _fold_in(key: UInt32[Array, "2"], data: Array) -> UInt32[Array, "2"]:
    data = jnp.asarray(data).astype(jnp.uint32)
    return _settle(jnp.stack([_words(key, data, use) for use in _FOLD]))


def _settle(keys: UInt32[Array, "*n 2"]) -> UInt32[Array, "*n 2"]:
    """The same keys, worked out before they are used.

    Else several splits in a row become one chain of operations in the loop over the last keys.
    When LLVM (jaxlib 0.10.2) thinks of vectorising that loop, it follows both inputs of each
    `x ^ (x >> n)` and does not remember where it was: a chain of four splits takes minutes.
    """
    return lax.optimization_barrier(keys)


def _random_bits(key: UInt32[Array, "2"], bit_width: int, shape: tuple[int, ...]) -> Array:
    if bit_width > 32:
        raise NotImplementedError(f"hash keys draw at most 32 bits at once, got {bit_width}")
    words = _words(key, _count(shape), _DRAW)
    return (words >> (32 - bit_width)).astype(jnp.dtype(f"uint{bit_width}"))


HASH_PRNG = jax.extend.random.define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="hash",
    tag="hsh",
)
