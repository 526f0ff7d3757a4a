"""Named streams of random numbers."""

import jax
import numpy as np

from i2uv_jax.config import EvaluationConfig, ExperimentConfig
from i2uv_jax.data.streams import Stream, source_keys, stream_key


def words(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_no_purpose_shares_a_key_with_another_or_with_what_is_counted():
    key = jax.random.key(3)
    counted = [jax.random.fold_in(key, index) for index in range(64)]
    keys = [key, *counted, *(stream_key(key, stream) for stream in Stream)]
    assert len({words(one) for one in keys}) == len(keys)


def test_splits_and_counts_do_share_keys():
    # Why there are named streams: `split` and `fold_in` count alike.
    key = jax.random.key(3)
    assert words(jax.random.split(key)[1]) == words(jax.random.fold_in(key, 1))


def test_training_and_evaluation_differ_even_with_one_seed():
    config = ExperimentConfig(name="one-seed", evaluation=EvaluationConfig(seed=0))
    keys = source_keys(config)
    assert config.train.seed == config.evaluation.seed == 0
    assert words(keys.training) != words(keys.evaluation)
    assert words(keys.of(Stream.PICTURES).training) != words(keys.of(Stream.HANDLESS).training)
