"""Varied batches stay exact: pictures and geometry move together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.data.variation import transform_batch, vary_batch
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.types import Batch, Camera

SIZE = 32
BATCH = 12


@pytest.fixture(scope="module")
def batch():
    """Points before a camera with its principal point off centre; a red blob marks point 5."""
    keys = jax.random.split(jax.random.key(0), 3)
    camera = Camera(
        focal=jnp.full((BATCH,), 2.0),
        principal=jax.random.uniform(keys[0], (BATCH, 2), minval=0.4, maxval=0.6),
    )
    plane = jax.random.uniform(keys[1], (BATCH, 21, 2), minval=-0.05, maxval=0.05)
    depth = jax.random.uniform(keys[2], (BATCH, 21, 1), minval=0.5, maxval=0.6)
    points = jnp.concatenate([plane, depth], axis=-1)
    centres = (jnp.arange(SIZE) + 0.5) / SIZE
    place = project(camera, points)[:, 5]
    squared = (centres - place[:, :1])[:, None, :] ** 2 + (centres - place[:, 1:])[:, :, None] ** 2
    blob = jnp.exp(-squared * SIZE**2 / 8)
    return Batch(
        image=blob[..., None] * jnp.array([1.0, 0, 0]),
        uv_map=to_crop_space(camera, points, points[:, WRIST, 2])[:, :16].reshape(BATCH, 4, 4, 3),
        vertices=points,
        keypoints=points,
        hand_mask=blob,
        keypoint_visible=jnp.ones((BATCH, 21), bool),
        camera=camera,
    )


@pytest.fixture(scope="module")
def varied(batch):
    return jax.jit(lambda key, b: vary_batch(key, b, turn_degrees=None))(jax.random.key(1), batch)


def centroid(mask):
    """Crop coordinates of a blob's centre of mass."""
    centres = (np.arange(SIZE) + 0.5) / SIZE
    mask = np.asarray(mask)
    return np.array([mask.sum(0) @ centres, mask.sum(1) @ centres]) / mask.sum()


def test_geometry_still_projects_onto_the_moved_picture(varied):
    place = np.asarray(project(varied.camera, varied.keypoints))[:, 5]
    for image, mask, point in zip(varied.image, varied.hand_mask, place, strict=True):
        np.testing.assert_allclose(centroid(image[..., 0]), point, atol=0.15 / SIZE)
        np.testing.assert_allclose(centroid(mask), point, atol=0.15 / SIZE)


def test_uv_map_is_that_of_the_moved_points(varied):
    points = varied.vertices
    expected = to_crop_space(varied.camera, points, points[:, WRIST, 2])[:, :16]
    np.testing.assert_allclose(varied.uv_map.reshape(BATCH, 16, 3), expected, atol=1e-5)


def test_a_quarter_turn_is_that_of_the_pixels(batch):
    quarter, one, none = jnp.full(BATCH, jnp.pi / 2), jnp.ones(BATCH), jnp.zeros((BATCH, 2))
    turned = transform_batch(batch, quarter, one, none)
    # x towards y, with y down: clockwise.
    np.testing.assert_allclose(turned.image, jnp.rot90(batch.image, -1, (1, 2)), atol=1e-5)


def test_a_point_shifted_out_of_the_picture_is_no_longer_visible(batch):
    shift = jnp.full((BATCH, 2), jnp.array([2.0, 0.0]))
    moved = transform_batch(batch, jnp.zeros(BATCH), jnp.ones(BATCH), shift)
    assert not moved.keypoint_visible.any()


def test_all_directions_and_many_colours_occur(batch, varied):
    # Up to a turn about the optical axis the points are the same: their angle tells the turn.
    before, after = (
        np.asarray(b.vertices[:, 3, 0] + 1j * b.vertices[:, 3, 1]) for b in (batch, varied)
    )
    np.testing.assert_allclose(np.abs(after), np.abs(before), rtol=1e-5)
    assert set(np.floor(np.angle(after / before) / (np.pi / 2))) == {-2, -1, 0, 1}
    brightness = np.asarray(varied.image.max(axis=(1, 2, 3)))
    assert brightness.max() <= 1
    assert brightness.std() > 0.02
