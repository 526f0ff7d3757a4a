"""Varied batches stay exact: pictures and geometry turn together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.data.synthetic import vary_batch
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.types import Batch, Camera

SIZE = 16
BATCH = 12


@pytest.fixture(scope="module")
def batch():
    """Points before a camera with its principal point off centre; one red pixel marks point 5."""
    keys = jax.random.split(jax.random.key(0), 3)
    camera = Camera(
        focal=jnp.full((BATCH,), 2.0),
        principal=jax.random.uniform(keys[0], (BATCH, 2), minval=0.3, maxval=0.7),
    )
    plane = jax.random.uniform(keys[1], (BATCH, 21, 2), minval=-0.06, maxval=0.06)
    depth = jax.random.uniform(keys[2], (BATCH, 21, 1), minval=0.5, maxval=0.6)
    points = jnp.concatenate([plane, depth], axis=-1)
    pixel = jnp.floor(project(camera, points)[:, 5] * SIZE).astype(int)
    image = jnp.zeros((BATCH, SIZE, SIZE, 3))
    image = image.at[jnp.arange(BATCH), pixel[:, 1], pixel[:, 0], 0].set(1.0)
    return Batch(
        image=image,
        uv_map=to_crop_space(camera, points, points[:, WRIST, 2])[:, :16].reshape(BATCH, 4, 4, 3),
        vertices=points,
        keypoints=points,
        hand_mask=image[..., 0],
        keypoint_visible=jnp.ones((BATCH, 21), bool),
        camera=camera,
    )


@pytest.fixture(scope="module")
def varied(batch):
    return jax.jit(vary_batch)(jax.random.key(1), batch)


def test_geometry_still_projects_onto_the_turned_picture(varied):
    pixel = np.floor(np.asarray(project(varied.camera, varied.keypoints))[:, 5] * SIZE).astype(int)
    for image, mask, (column, row) in zip(varied.image, varied.hand_mask, pixel, strict=True):
        assert np.unravel_index(int(image[..., 0].argmax()), (SIZE, SIZE)) == (row, column)
        assert mask[row, column] == 1


def test_uv_map_is_that_of_the_turned_points(varied):
    points = varied.vertices
    expected = to_crop_space(varied.camera, points, points[:, WRIST, 2])[:, :16]
    np.testing.assert_allclose(varied.uv_map.reshape(BATCH, 16, 3), expected, atol=1e-5)


def test_all_four_turns_and_many_colours_occur(batch, varied):
    # Up to a turn about the optical axis the points are the same: their angle tells the turn.
    before, after = (
        np.asarray(b.vertices[:, 3, 0] + 1j * b.vertices[:, 3, 1]) for b in (batch, varied)
    )
    turns = np.round(np.angle(after / before) / (np.pi / 2)) % 4
    np.testing.assert_allclose(np.abs(after), np.abs(before), rtol=1e-5)
    assert set(turns) == {0, 1, 2, 3}
    brightness = np.asarray(varied.image.max(axis=(1, 2, 3)))
    assert brightness.max() <= 1
    assert brightness.std() > 0.02
