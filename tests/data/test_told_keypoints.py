"""Keypoints as another network might tell them: whose errors they get, and what is left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.data.told_keypoints import (
    ToldHands,
    in_own_frame,
    load_told_hands,
    tell_keypoints,
)
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES, MIDDLE_MCP, WRIST


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


def test_errors_turn_and_grow_with_the_hand():
    hands = random_hands(1)
    (own,) = in_own_frame(hands)
    # Every keypoint is told half a spread above where it is, and as far behind.
    told = ToldHands(own, own + jnp.array([0.0, -0.5, 0.5]))
    spread = 1 / float(
        np.linalg.norm(own[0, 1] - own[0, 2]) / np.linalg.norm(hands[0, 1] - hands[0, 2])
    )
    lying = turned_about_middle(hands, 90)  # up has become right
    found = tell_keypoints(jax.random.key(5), jnp.repeat(lying, 64, axis=0), told, 1.0)
    errors = np.asarray(found - lying)[known(found)]
    assert len(errors) > 64 * 21 // 2
    np.testing.assert_allclose(
        errors, np.broadcast_to([0.5 * spread, 0, 0.5 * spread], errors.shape), atol=1e-4
    )


def test_what_errors_have_in_common_is_told_whole_and_the_rest_in_part():
    hands = random_hands(1)
    (own,) = in_own_frame(hands)
    true = jnp.repeat(own, 8, axis=0)
    # Half of the hands are told one spread farther right than the others, half a spread on average.
    right = jnp.arange(8)[:, None, None] % 2 * jnp.array([1.0, 0.0, 0.0])
    many = jnp.repeat(hands, 4000, axis=0)
    told = tell_keypoints(jax.random.key(3), many, ToldHands(true, true + right), 1.0)
    spread = float(
        jnp.linalg.norm(hands[0, 1] - hands[0, 2]) / jnp.linalg.norm(own[0, 1] - own[0, 2])
    )
    errors = np.asarray(told - many)[known(told)][:, 0] / spread
    np.testing.assert_allclose(errors.mean(), 0.5, atol=0.02)
    deviation = np.abs(errors - 0.5)
    assert deviation.min() > 0.1 - 1e-3 and deviation.max() < 0.5 + 1e-3
    np.testing.assert_allclose(deviation.mean(), 0.3, atol=0.02)


def test_the_error_comes_from_a_hand_like_it():
    ones, others = random_hands(8, seed=1), random_hands(8, seed=2)
    one, other = ones[:1], others[:1]
    (true,) = in_own_frame(
        jnp.concatenate([jnp.repeat(one, 8, axis=0), jnp.repeat(other, 8, axis=0)])
    )
    error = jnp.concatenate([jnp.full((8, 21, 3), 0.1), jnp.full((8, 21, 3), -0.1)])
    bank = ToldHands(true, true + error)
    for hand, sign in ((one, 1), (other, -1)):
        found = tell_keypoints(jax.random.key(0), jnp.repeat(hand, 16, axis=0), bank, 1.0)
        errors = np.asarray(found - hand)[known(found)]
        assert (np.sign(errors) == sign).all()


def test_shares_of_what_is_told():
    hands = jnp.repeat(random_hands(1), 4000, axis=0)
    (own,) = in_own_frame(hands[:1])
    told = tell_keypoints(jax.random.key(1), hands, ToldHands(own, own), 0.75)
    plane, depth = np.isfinite(told[..., 0]), np.isfinite(told[..., 2])
    np.testing.assert_array_equal(plane, np.isfinite(told[..., 1]))
    assert not (depth & ~plane).any()
    is_told = plane.any(axis=1)
    np.testing.assert_allclose(is_told.mean(), 0.75, atol=0.03)
    np.testing.assert_allclose(plane[is_told].all(axis=1).mean(), 0.8, atol=0.03)
    np.testing.assert_allclose(depth[is_told].any(axis=1).mean(), 0.9, atol=0.03)
    np.testing.assert_allclose(told[known(told)], hands[known(told)], atol=1e-5)
    again = tell_keypoints(jax.random.key(1), hands, ToldHands(own, own), 0.75)
    np.testing.assert_array_equal(told, again)
    assert np.isnan(tell_keypoints(jax.random.key(1), hands, ToldHands(own, own), 0.0)).all()


def test_the_hands_of_the_package_err_as_people_s_keypoints_do():
    hands = load_told_hands()
    assert hands.true.shape == hands.told.shape and len(hands.true) > 2000
    assert np.isfinite(hands.told).all()
    (own,) = in_own_frame(jnp.asarray(hands.true))
    np.testing.assert_allclose(own, hands.true, atol=0.01)  # half precision
    error = np.linalg.norm((hands.told - hands.true)[..., :2], axis=-1).mean(axis=0)
    by_name = dict(zip(KEYPOINT_NAMES, error, strict=True))
    assert 0.1 < error.mean() < 0.5
    for finger in ("index", "middle", "ring", "little"):
        assert by_name[f"{finger}_tip"] > by_name[f"{finger}_mcp"]
