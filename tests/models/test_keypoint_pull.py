"""What told keypoints want of texels: nothing where they agree, and of the right texels alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES, WRIST
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mean_hand import mean_uv_map
from i2uv_jax.models.keypoint_pull import keypoint_pull

SIZE = 32
INDEX_TIP = KEYPOINT_NAMES.index("index_tip")


@pytest.fixture(scope="module")
def uv_map():
    return jnp.asarray(mean_uv_map(SIZE))[None]


@pytest.fixture(scope="module")
def keypoints(uv_map):
    """The map's own, by the way that every other part of the package takes."""
    hand = load_hand()
    return hand.keypoint_regressor @ vertices_from_uv_map(build_tables(hand.atlas, SIZE), uv_map)


def test_keypoints_where_the_map_has_them_pull_nothing(uv_map, keypoints):
    pull, known = keypoint_pull(uv_map, keypoints)
    np.testing.assert_allclose(pull, 0, atol=1e-5)
    np.testing.assert_allclose(known, 1, atol=1e-5)


def test_a_shift_of_all_keypoints_is_a_shift_of_all_texels(uv_map, keypoints):
    shift = jnp.array([0.1, -0.2, 0.05])
    pull, _ = keypoint_pull(uv_map, keypoints + shift)
    np.testing.assert_allclose(pull, jnp.broadcast_to(shift, pull.shape), atol=1e-5)


def test_one_tip_pulls_its_own_finger_alone(uv_map, keypoints):
    shift = np.array([0.1, 0.0, 0.0])
    pull, _ = keypoint_pull(uv_map, keypoints.at[:, INDEX_TIP].add(shift))
    distance = np.linalg.norm(uv_map[0] - keypoints[0, INDEX_TIP], axis=-1)
    assert pull[0][distance < 0.03][:, 0].min() > 0.05
    to_wrist = np.linalg.norm(uv_map[0] - keypoints[0, WRIST], axis=-1)
    assert abs(pull[0][to_wrist < 0.2]).max() < 1e-4


def test_following_brings_the_keypoints_nearer(uv_map, keypoints):
    told = keypoints + 0.1 * np.sin(np.arange(63)).reshape(1, 21, 3)
    followed = uv_map + keypoint_pull(uv_map, told)[0]
    left = jnp.abs(keypoint_pull(followed, told)[0]).mean()
    assert left < 0.4 * jnp.abs(keypoint_pull(uv_map, told)[0]).mean()


def test_unknown_coordinates_pull_nothing(uv_map, keypoints):
    told = (keypoints + 0.1).at[:, :, 2].set(jnp.nan)
    pull, known = keypoint_pull(uv_map, told)
    np.testing.assert_allclose(pull[..., :2], 0.1, atol=1e-5)
    np.testing.assert_array_equal(pull[..., 2], 0)
    np.testing.assert_array_equal(known[..., 2], 0)
    pull, known = keypoint_pull(uv_map, jnp.full((1, 21, 3), jnp.nan))
    np.testing.assert_array_equal(pull, 0)
    np.testing.assert_array_equal(known, 0)
