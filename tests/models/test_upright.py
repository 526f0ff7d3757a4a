"""The second look: a stand-in network that knows upright hands only is right about all of them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.quarter_turns import turn_image, turn_points
from i2uv_jax.models.upright import predict_uv_map

SIZE = 8


class UprightExpert:
    """Sees a hand as a bright wrist pixel and a dim fingertip pixel.

    A UV map of 2 x 2 texels: wrist, middle MCP, and twice the wrist again. Depth tells whether the
    network was sure: 1 for hands whose fingers point up, 0 for others.
    """

    def __init__(self, upright):
        self.config = SimpleNamespace(upright=upright)

    def apply(self, variables, image, *, train):
        def place(value):
            index = jnp.argmin(jnp.abs(image[..., 0].reshape(len(image), -1) - value), axis=1)
            return jnp.stack([index % SIZE, index // SIZE], axis=-1) / SIZE + 0.5 / SIZE

        wrist, knuckle = place(1.0), place(0.5)
        is_upright = (knuckle[:, 1] < wrist[:, 1]).astype(jnp.float32)[:, None]
        depth = jnp.broadcast_to(is_upright, (len(image), 1))
        points = [jnp.concatenate([p, depth], axis=-1) for p in (wrist, knuckle, wrist, wrist)]
        return SimpleNamespace(uv_map=jnp.stack(points, axis=1).reshape(-1, 2, 2, 3))


def keypoints_from_uv_map(uv_map):
    points = uv_map.reshape(-1, 4, 3)
    return jnp.concatenate([points[:, :1]] + [points[:, 1:2]] * 20, axis=1)


@pytest.mark.parametrize("turns", range(4))
def test_hands_are_seen_upright_and_reported_as_they_stand(turns):
    upright_image = jnp.zeros((SIZE, SIZE, 1)).at[6, 3].set(1.0).at[2, 4].set(0.5)
    image = turn_image(upright_image, jnp.array(turns))[None]
    expected = turn_points(jnp.array([[3.5, 6.5], [4.5, 2.5]]) / SIZE, jnp.array(turns), centre=0.5)
    once, twice = (
        predict_uv_map(UprightExpert(upright), {}, image, keypoints_from_uv_map)
        for upright in (False, True)
    )
    np.testing.assert_allclose(twice[0, 0, :, :2], expected, atol=1e-6)
    np.testing.assert_array_equal(twice[..., 2], 1)
    np.testing.assert_allclose(once[0, 0, :, :2], expected, atol=1e-6)
    if turns == 2:
        np.testing.assert_array_equal(once[..., 2], 0)


def test_pictures_of_a_batch_turn_each_for_itself():
    upright_image = jnp.zeros((SIZE, SIZE, 1)).at[6, 3].set(1.0).at[2, 4].set(0.5)
    images = jax.vmap(lambda turns: turn_image(upright_image, turns))(jnp.arange(4))
    uv_map = predict_uv_map(UprightExpert(True), {}, images, keypoints_from_uv_map)
    np.testing.assert_array_equal(uv_map[..., 2], 1)
