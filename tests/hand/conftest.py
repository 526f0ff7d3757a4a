"""One default hand and one batch of random posed hands for all tests of this folder."""

import jax
import pytest

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape

NUM_SAMPLES = 128


@pytest.fixture(scope="session")
def hand():
    return load_hand()


@pytest.fixture(scope="session")
def samples(hand):
    """(shapes, poses, posed hands) of `NUM_SAMPLES` random hands, NumPy."""

    def sample(key):
        shape_key, pose_key = jax.random.split(key)
        shape, pose = sample_shape(shape_key), sample_pose(pose_key)
        return shape, pose, pose_hand(hand, shape, pose)

    keys = jax.random.split(jax.random.key(42), NUM_SAMPLES)
    return jax.device_get(jax.jit(jax.vmap(sample))(keys))
