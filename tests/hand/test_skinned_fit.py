"""The mean hand posed after a map: exact where it can be, better than the map where it is noisy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.alignment import align
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mean_hand import mean_uv_map
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.hand.skinned_fit import nearest_rotation, skinned_fit

SIZE = 32


@pytest.fixture(scope="module")
def hands():
    """Vertices of four hands in poses and shapes of the samplers, millimetres."""

    def one(key):
        pose_key, shape_key = jax.random.split(key)
        return pose_hand(load_hand(), sample_shape(shape_key), sample_pose(pose_key)).vertices

    return 1000 * jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 4))


def mean_error(vertices, uv_map):
    tables = build_tables(load_hand().atlas, uv_map.shape[1])
    return float(jnp.linalg.norm(vertices_from_uv_map(tables, uv_map) - vertices, axis=-1).mean())


def test_nearest_rotation_is_that_of_a_singular_value_decomposition():
    covariances = np.random.default_rng(0).normal(size=(500, 3, 3))
    u, singular, vt = np.linalg.svd(covariances)
    # Where the last two differ by nothing but a sign, two rotations are as near.
    sign = np.sign(np.linalg.det(u @ vt))
    clear = singular[:, 1] + sign * singular[:, 2] > 0.05 * singular[:, 0]
    u[:, :, 2] *= sign[:, None]
    found = np.asarray(nearest_rotation(covariances.astype(np.float32)))
    assert (sign < 0).sum() > 50
    assert clear.mean() > 0.9
    np.testing.assert_allclose(found[clear], (u @ vt)[clear], atol=1e-4)
    np.testing.assert_allclose(np.linalg.det(found[clear]), 1, atol=1e-4)


def test_the_mean_hand_anywhere_is_its_own_fit_at_every_size():
    turn = Rotation.from_euler("xyz", (0.4, -1.1, 2.0)).as_matrix().astype(np.float32)

    def moved(size):
        return jnp.asarray(0.3 * mean_uv_map(size) @ turn.T + np.array([0.4, 0.6, 0.1]))[None]

    for size in (SIZE, 64):
        np.testing.assert_allclose(skinned_fit(moved(SIZE), size), moved(size), atol=1e-5)


def test_fits_follow_similarities_and_do_not_look_outside_the_chart(hands):
    tables = build_tables(load_hand().atlas, SIZE)
    uv_map = uv_map_from_vertices(tables, hands)
    fit = skinned_fit(uv_map, SIZE)
    outside = jnp.where(tables.texel_mask[..., None], uv_map, 1e3)
    np.testing.assert_allclose(skinned_fit(outside, SIZE), fit, atol=0.5)
    turn = Rotation.from_euler("xyz", (2.0, 0.3, -1.0)).as_matrix().astype(np.float32)
    moved = skinned_fit(2.0 * uv_map @ turn.T + 7.0, SIZE)
    np.testing.assert_allclose(moved, 2.0 * fit @ turn.T + 7.0, atol=0.01)


def test_posed_hands_of_other_shapes_are_fitted_to_millimetres(hands):
    exact = uv_map_from_vertices(build_tables(load_hand().atlas, SIZE), hands)
    error = mean_error(hands, skinned_fit(exact, 64))
    stiff = jnp.broadcast_to(jnp.asarray(load_hand().mean_vertices), hands.shape)
    stiff_error = jnp.linalg.norm(align(stiff, hands)(stiff) - hands, axis=-1).mean()
    assert error < 1.5
    assert error < 0.2 * float(stiff_error)


def test_noise_of_single_texels_averages_out(hands):
    exact = uv_map_from_vertices(build_tables(load_hand().atlas, SIZE), hands)
    noisy = exact + 5.0 * jax.random.normal(jax.random.key(1), exact.shape)
    assert mean_error(hands, skinned_fit(noisy, 64)) < 0.5 * mean_error(hands, noisy)


def test_gradients_are_finite_wherever_a_map_lies():
    def loss(uv_map):
        return (skinned_fit(uv_map, SIZE) ** 2).sum()

    mean_map = jnp.asarray(mean_uv_map(SIZE))[None]
    for uv_map in (mean_map, jnp.zeros_like(mean_map), mean_map.at[..., 2].set(0.0)):
        assert jnp.isfinite(jax.jit(jax.grad(loss))(uv_map)).all()
