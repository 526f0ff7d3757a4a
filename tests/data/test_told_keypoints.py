"""Keypoints as another network tells them: how much of its errors they get, what is left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.data.told_keypoints import in_own_frame, load_mean_error, tell_keypoints
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES, MIDDLE_MCP, WRIST

FINGERTIPS = [
    KEYPOINT_NAMES.index(f"{finger}_tip") for finger in ("index", "middle", "ring", "little")
]


def random_hands(count, seed=0):
    """Points anywhere, but the middle finger's knuckle a little above the wrist."""
    points = jax.random.uniform(jax.random.key(seed), (count, 21, 3), minval=0.2, maxval=0.8)
    points = points.at[:, WRIST].set(jnp.array([0.5, 0.7, 0.0]))
    return points.at[:, MIDDLE_MCP, :2].set(jnp.array([0.5, 0.5]))


def turned_about_middle(points, degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points.at[..., :2].set((points[..., :2] - 0.5) @ turn.T + 0.5)


def known(told):
    return np.isfinite(told).all(axis=-1)


@pytest.mark.parametrize("degrees", [0, 37, 180])
def test_a_hand_stands_upright_in_its_own_frame_however_it_is_turned(degrees):
    hands = random_hands(3)
    moved = 2 * turned_about_middle(hands, degrees) + jnp.array([0.3, -0.1, 0.0])
    (upright,), (found,) = in_own_frame(hands), in_own_frame(moved)
    np.testing.assert_allclose(found, upright, atol=1e-4)
    np.testing.assert_array_equal(found[:, WRIST], 0)
    np.testing.assert_allclose(found[:, MIDDLE_MCP, 0], 0, atol=1e-5)
    assert (found[:, MIDDLE_MCP, 1] < 0).all()  # y points down
    spread = jnp.linalg.norm(found[..., :2] - found[..., :2].mean(axis=1, keepdims=True), axis=-1)
    np.testing.assert_allclose(jnp.sqrt((spread**2).mean(axis=1)), 1, rtol=1e-4)


def test_the_mean_error_turns_and_grows_with_the_hand():
    hands = random_hands(1)
    (own,) = in_own_frame(hands)
    # What is seen is as wrong as all are: each keypoint half a spread too high, and behind.
    mean_error = jnp.broadcast_to(jnp.array([0.0, -0.5, 0.5]), (21, 3))
    spread = spread_of(hands, own)
    lying = jnp.repeat(turned_about_middle(hands, 90), 64, axis=0)  # up has become right
    error = spread * jnp.array([0.5, 0.0, 0.5])
    told = tell_keypoints(jax.random.key(5), lying, lying + error, mean_error, 1.0)
    errors = np.asarray(told - lying)[known(told)]
    assert len(errors) > 64 * 21 // 2
    np.testing.assert_allclose(errors, np.broadcast_to(error, errors.shape), atol=1e-4)


def test_the_mean_error_is_told_whole_and_the_rest_in_part():
    hands = random_hands(1)
    (own,) = in_own_frame(hands)
    spread = spread_of(hands, own)
    many = jnp.repeat(hands, 4000, axis=0)
    right = jnp.array([spread, 0.0, 0.0])
    mean_error = jnp.broadcast_to(jnp.array([0.5, 0.0, 0.0]), (21, 3))
    told = tell_keypoints(jax.random.key(3), many, many + right, mean_error, 1.0)
    errors = np.asarray(told - many)[known(told)][:, 0] / spread
    # Half a spread that all have, and a fifth to all of the half that is this hand's own.
    assert errors.min() > 0.6 - 1e-3 and errors.max() < 1 + 1e-3
    np.testing.assert_allclose(errors.mean(), 0.5 + 0.6 * 0.5, atol=0.02)


def test_shares_of_what_is_told():
    hands = jnp.repeat(random_hands(1), 4000, axis=0)
    no_error = jnp.zeros((21, 3))
    told = tell_keypoints(jax.random.key(1), hands, hands, no_error, 0.75)
    plane, depth = np.isfinite(told[..., 0]), np.isfinite(told[..., 2])
    np.testing.assert_array_equal(plane, np.isfinite(told[..., 1]))
    assert not (depth & ~plane).any()
    is_told = plane.any(axis=1)
    np.testing.assert_allclose(is_told.mean(), 0.75, atol=0.03)
    np.testing.assert_allclose(plane[is_told].all(axis=1).mean(), 0.8, atol=0.03)
    np.testing.assert_allclose(depth[is_told].any(axis=1).mean(), 0.9, atol=0.03)
    np.testing.assert_allclose(told[known(told)], hands[known(told)], atol=1e-5)
    again = tell_keypoints(jax.random.key(1), hands, hands, no_error, 0.75)
    np.testing.assert_array_equal(told, again)
    assert np.isnan(tell_keypoints(jax.random.key(1), hands, hands, no_error, 0.0)).all()


def test_what_is_not_seen_is_not_told():
    hands = random_hands(64)
    seen = hands.at[::2].set(jnp.nan)
    told = tell_keypoints(jax.random.key(1), hands, seen, jnp.zeros((21, 3)), 1.0)
    assert np.isnan(told[::2]).all() and np.isfinite(told[1::2, :, 0]).any(axis=1).all()


def test_the_network_means_a_wrist_nearer_to_the_fingers_and_tips_nearer_to_the_camera():
    """In hands' own frames y points from the fingers to the wrist, z away from the camera."""
    error = load_mean_error()
    assert error.shape == (21, 3) and error.dtype == np.float32 and np.isfinite(error).all()
    assert error[WRIST, 1] < -0.1
    assert (error[FINGERTIPS, 2] < -0.1).all()
    assert np.abs(error[5:, :2]).max() < 0.2


def spread_of(hands, own):
    """Of one hand, from any of its bones' lengths as it is and in its own frame."""
    lengths = [jnp.linalg.norm((points[0, 1] - points[0, 2])[:2]) for points in (hands, own)]
    return float(lengths[0] / lengths[1])
