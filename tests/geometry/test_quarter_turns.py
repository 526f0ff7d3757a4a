"""Quarter turns: pictures and points turn together, and directions find their way up."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.quarter_turns import turn_image, turn_points, turns_to_upright

SIZE = 8


@pytest.mark.parametrize("turns", range(4))
def test_a_point_stays_on_its_pixel(turns):
    column, row = 6, 1
    image = jnp.zeros((SIZE, SIZE, 1)).at[row, column].set(1)
    point = (jnp.array([column, row, 3.0]) + jnp.array([0.5, 0.5, 0])) / jnp.array([SIZE, SIZE, 1])
    turned = turn_points(point, jnp.array(turns), centre=0.5)
    new_column, new_row = np.floor(np.asarray(turned[:2]) * SIZE).astype(int)
    assert turn_image(image, jnp.array(turns))[new_row, new_column, 0] == 1
    assert turned[2] == 3
    back = turn_points(turned, jnp.array(-turns % 4), centre=0.5)
    np.testing.assert_allclose(back, point, atol=1e-6)


def test_directions_turn_up():
    # Up, right, down, left; then two that lie within 45 degrees of right and of down.
    directions = jnp.array([[0, -1], [1, 0], [0, 1], [-1, 0], [2, 1.9], [-0.9, 1]], jnp.float32)
    turns = turns_to_upright(directions)
    np.testing.assert_array_equal(turns, [0, 1, 2, 3, 1, 2])
    for direction, number in zip(directions, turns, strict=True):
        x, y = turn_points(direction, number)
        assert -y >= abs(x)
