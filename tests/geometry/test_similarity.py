"""Pictures and points move together, and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.similarity import PictureSimilarity

QUARTER = jnp.array([[0.0, -1.0], [1.0, 0.0]])
"""x to y: clockwise as seen."""


def one(turn=QUARTER, scale=1.0, shift=(0.0, 0.0)):
    return PictureSimilarity(turn[None], jnp.array([scale]), jnp.array([shift]))


def test_a_point_by_hand():
    # (0.75, 0.5) lies 0.25 right of the middle; turned it lies below it, scaled 0.5 away.
    moved = one(scale=2.0, shift=(0.1, -0.2))(jnp.array([[[0.75, 0.5]]]))
    np.testing.assert_allclose(moved[0, 0], [0.6, 0.8], atol=1e-6)


def test_depth_scales_and_does_not_shift():
    moved = one(scale=2.0, shift=(0.1, 0.0)).of_uv_map(jnp.array([[[[0.5, 0.5, 0.3]]]]))
    np.testing.assert_allclose(moved[0, 0, 0], [0.6, 0.5, 0.6], atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5])
def test_the_inverse_leads_back(angle):
    turn = jnp.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    there = one(turn, 0.6, (0.2, -0.3))
    points = jnp.array([[[0.1, 0.2], [0.9, 0.4]]])
    np.testing.assert_allclose(there.inverse()(there(points)), points, atol=1e-6)


def test_a_quarter_turn_of_a_picture_moves_whole_pixels():
    image = jnp.arange(16.0).reshape(1, 4, 4, 1)
    turned = one().of_image(image, 4)[0, ..., 0]
    np.testing.assert_allclose(turned, np.rot90(image[0, ..., 0], -1), atol=1e-5)
