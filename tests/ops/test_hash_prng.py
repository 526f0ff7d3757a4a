"""Numbers of hash keys are as random as a simulation needs, and keys behave as JAX's own."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from i2uv_jax.ops.hash_prng import hash_key

COUNT = 1 << 16


@pytest.fixture(scope="module")
def key():
    return hash_key(jax.random.key(0))


def words_of(key, count=COUNT):
    return np.asarray(jax.random.bits(key, (count,)))


def test_words_follow_the_uniform_distribution(key):
    for bits in (words_of(key) >> 24, words_of(key) & 0xFF):
        assert stats.chisquare(np.bincount(bits, minlength=256)).pvalue > 1e-3


def test_normal_numbers_follow_the_normal_distribution(key):
    assert stats.kstest(jax.random.normal(key, (COUNT,)), "norm").pvalue > 1e-3


@pytest.mark.parametrize("offset", [1, 2, 32, 1024])
def test_numbers_do_not_depend_on_their_neighbours(key, offset):
    numbers = np.asarray(jax.random.uniform(key, (COUNT,)))
    # 4 standard deviations of the correlation of independent numbers.
    assert abs(np.corrcoef(numbers[offset:], numbers[:-offset])[0, 1]) < 4 / np.sqrt(COUNT)


def test_streams_of_related_keys_are_independent(key):
    children = jax.random.split(key, 64)
    folded = jax.vmap(lambda data: jax.random.fold_in(key, data))(jnp.arange(64))
    seeded = jax.vmap(lambda seed: hash_key(jax.random.key(seed)))(jnp.arange(1, 65))
    keys = jnp.concatenate([children, folded, seeded, key[None]])
    streams = jax.vmap(lambda one: jax.random.uniform(one, (4096,)))(keys)
    correlation = np.corrcoef(streams) - np.eye(len(keys))
    assert abs(correlation).max() < 6 / np.sqrt(4096)


@pytest.mark.parametrize("word", [0, 1])
@pytest.mark.parametrize("bit", [0, 13, 31])
def test_flipping_a_bit_of_a_key_flips_half_of_all_bits(word, bit):
    data = np.array([123, 456], np.uint32)
    flipped = data.copy()
    flipped[word] ^= np.uint32(1 << bit)
    first, second = (
        words_of(hash_key(jax.random.wrap_key_data(jnp.asarray(one)))) for one in (data, flipped)
    )
    share = np.unpackbits((first ^ second).view(np.uint8)).mean()
    assert share == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(32 * COUNT))


def test_no_two_of_many_keys_are_equal(key):
    data = np.asarray(jax.random.key_data(jax.random.split(key, COUNT)))
    assert len(np.unique(data, axis=0)) == COUNT


def test_a_vmapped_key_draws_what_it_draws_alone(key):
    keys = jax.random.split(key, 3)
    together = jax.vmap(lambda one: jax.random.normal(one, (5,)))(keys)
    np.testing.assert_array_equal(together[1], jax.random.normal(keys[1], (5,)))


def test_narrow_words_are_drawn_and_wide_ones_refused(key):
    assert jax.random.bits(key, (3,), jnp.uint8).dtype == jnp.uint8
    with jax.enable_x64(True), pytest.raises(NotImplementedError, match="at most 32 bits"):
        jax.random.bits(key, (3,), jnp.uint64)


def test_split_after_split_compiles_quickly():
    def grandchildren(key):
        key = hash_key(key)
        for _ in range(3):
            key = jax.random.split(key)[1]
        return jax.random.key_data(jax.random.split(key, 16))

    lowered = jax.jit(grandchildren).lower(jax.random.key(0))
    start = time.process_time()
    lowered.compile()
    # A fraction of a second; minutes once the compiler makes one loop of all splits.
    assert time.process_time() - start < 10
