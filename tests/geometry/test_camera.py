"""Projection into a crop against numbers worked out by hand, and its exact inverse."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.camera import crop_camera, from_crop_space, project, to_crop_space
from i2uv_jax.types import Camera


def test_crop_camera_sees_what_the_picture_shows():
    # A 640 x 480 picture, f = 500 px, principal point in the middle. (0.1, -0.05, 1) m falls on
    # pixel (320 + 50, 240 - 25) = (370, 215); in the crop (270, 115)..(470, 315) that is the
    # middle.
    camera = crop_camera(500.0, (320.0, 240.0), (270.0, 115.0, 470.0, 315.0))
    point = jnp.array([[0.1, -0.05, 1.0]])
    np.testing.assert_allclose(project(camera, point), [[0.5, 0.5]], atol=1e-6)


def test_depth_counts_in_crop_sides_at_the_wrists_depth():
    # f = 2 crop sides at 0.5 m: one crop side is 0.25 m wide there, so 0.025 m behind the wrist
    # is 0.1 crop sides.
    camera = Camera(focal=jnp.array(2.0), principal=jnp.array([0.5, 0.5]))
    points = jnp.array([[0.0, 0.0, 0.525]])
    crop = to_crop_space(camera, points, jnp.array(0.5))
    np.testing.assert_allclose(crop, [[0.5, 0.5, 0.1]], atol=1e-6)


def test_known_intrinsics_recover_the_points_up_to_the_wrists_depth():
    rng = np.random.default_rng(0)
    camera = Camera(focal=jnp.array([1.5, 4.0]), principal=jnp.array([[0.4, 0.7], [-0.5, 0.2]]))
    points = jnp.asarray(rng.normal(size=(2, 50, 3)) * 0.1 + [0, 0, 0.6], jnp.float32)
    wrist_depth_m = points[:, 0, 2]
    crop = to_crop_space(camera, points, wrist_depth_m)
    np.testing.assert_allclose(from_crop_space(camera, crop, wrist_depth_m), points, atol=1e-6)
    # Another assumed depth scales the whole hand about the camera and changes nothing else.
    np.testing.assert_allclose(
        from_crop_space(camera, crop, 2 * wrist_depth_m), 2 * points, atol=2e-6
    )


@pytest.mark.parametrize(
    ("focal", "crop"), [(0.0, (0.0, 0.0, 10.0, 10.0)), (500.0, (0.0, 0.0, 10.0, 20.0))]
)
def test_crop_camera_refuses(focal, crop):
    with pytest.raises(ValueError, match="must be"):
        crop_camera(focal, (0.0, 0.0), crop)
