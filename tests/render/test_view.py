"""Directions of view: proper rotations with the promised spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.render.view import roll_upright, sample_crop_shift, sample_distance, sample_view


def sample(tilt_degrees, count=4096, **options):
    keys = jax.random.split(jax.random.key(0), count)
    view = jax.jit(jax.vmap(lambda key: sample_view(key, tilt_degrees, **options)))
    return np.asarray(view(keys))


@pytest.mark.parametrize("tilt_degrees", [None, 20.0])
def test_views_are_proper_rotations_without_a_preferred_direction(tilt_degrees):
    rotations = sample(tilt_degrees)
    products = rotations @ rotations.transpose(0, 2, 1)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)
    # Uniform in the plane and about the hand: every axis averages out.
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.04)


def test_long_axis_leaves_the_picture_plane_by_the_given_angle():
    degrees = np.rad2deg(np.arcsin(sample(20.0)[:, 2, 1]))
    assert degrees.mean() == pytest.approx(0, abs=1)
    assert degrees.std() == pytest.approx(20, abs=1)


def test_uniform_rotations_take_an_axis_to_a_uniform_height():
    """On a sphere every height is equally likely (Archimedes): variance 1/3."""
    heights = sample(None)[:, 2]
    np.testing.assert_allclose(heights.var(axis=0), 1 / 3, atol=0.02)
    assert jnp.all(jnp.abs(heights) <= 1 + 1e-6)


def lean_degrees(share, jitter, palm, tilt_degrees=0.0):
    """Angle of the palm from straight up, clockwise, of many hands that were rolled upright."""
    keys = jax.random.split(jax.random.key(1), 4096)
    palm = jnp.array(palm)

    @jax.jit
    @jax.vmap
    def seen(rotation, key):
        return roll_upright(key, rotation, palm, share=share, jitter=jitter) @ palm

    x, y, _ = np.asarray(seen(sample(tilt_degrees), keys)).T
    return np.rad2deg(np.arctan2(x, -y))


def test_palms_of_upright_hands_point_up():
    np.testing.assert_allclose(lean_degrees(1.0, 0.0, [0.02, 0.09, 0.01], None), 0, atol=0.1)
    lean = lean_degrees(1.0, 0.1, [0.0, 0.09, 0.0])
    assert lean.mean() == pytest.approx(0, abs=0.5)
    assert np.deg2rad(lean.std()) == pytest.approx(0.1, abs=0.01)
    half = np.abs(lean_degrees(0.5, 0.0, [0.0, 0.09, 0.0])) < 0.1
    assert half.mean() == pytest.approx(0.5, abs=0.04)


def test_up_is_uncertain_where_the_palm_points_at_the_camera():
    along_the_view = lean_degrees(1.0, 0.3, [0.0, 0.09, 0.0], 80.0)
    assert along_the_view.std() > 2 * lean_degrees(1.0, 0.3, [0.0, 0.09, 0.0]).std()


def test_free_share_is_seen_from_anywhere():
    """Among hands that all lie in the picture plane, those that leave it are the free ones."""
    out_of_plane = np.abs(sample(0.0, free_share=0.3)[:, 2, 1])
    assert np.mean(out_of_plane > 0.01) == pytest.approx(0.3 * 0.99, abs=0.03)
    np.testing.assert_array_equal(sample(20.0, free_share=0.0), sample(20.0))


def test_crops_cut_hands_off_in_their_share_only():
    keys = jax.random.split(jax.random.key(0), 2000)
    box = jnp.array([0.4, 0.8])

    def beyond(truncation_share):
        shift = jax.vmap(lambda key: sample_crop_shift(key, box, 0.05, truncation_share))(keys)
        # Share of the box beyond the crop's nearest edge, along each axis.
        return np.asarray(jnp.max((jnp.abs(shift) + box / 2 - 0.5) / box, axis=1))

    assert (beyond(0.0) <= 1e-6).all()
    cut = beyond(0.25)
    assert np.mean(cut > 0.04) == pytest.approx(0.25, abs=0.03)
    assert cut.max() == pytest.approx(0.4, abs=0.01)


def test_distances_reach_from_webcam_to_telephoto():
    distances = np.asarray(jax.vmap(sample_distance)(jax.random.split(jax.random.key(0), 500)))
    assert 0.2 < distances.min() < 0.25
    assert 1.7 < distances.max() <= 2.0
