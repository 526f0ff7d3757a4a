"""Pictures for TensorBoard: what stands where, as maps and as meshes."""

import jax
import numpy as np

from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.training.pictures import draw_maps, map_colours
from i2uv_jax.types import SurfacePairs

SIZE = 128


def first_four(batch):
    return jax.tree.map(lambda leaf: np.asarray(leaf[:4]), batch)


def panels(picture):
    return np.split(picture, picture.shape[1] // SIZE, axis=1)


def test_colours_follow_the_coordinates():
    np.testing.assert_allclose(map_colours(np.array([0.25, 0.75, -0.5])), [0.25, 0.75, 0.0])


def test_a_batch_shows_picture_maps_and_meshes(sheet_config, sheet_source):
    source = sheet_source(sheet_config)
    batch = first_four(source.training_batch(0))
    picture = draw_maps(batch, batch.uv_map, atlas=source.atlas)
    assert picture.shape == (4 * SIZE, 5 * SIZE, 3)
    image, predicted, true, predicted_mesh, true_mesh = panels(picture)
    expected = np.asarray(batch.image)[0].repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_allclose(image[:SIZE], 255 * expected, atol=0.6)
    np.testing.assert_array_equal(predicted, true)
    np.testing.assert_array_equal(predicted_mesh, true_mesh)
    # The mesh is drawn where its vertices stand in the crop, on white.
    points = to_crop_space(batch.camera, batch.vertices, batch.keypoints[:, 0, 2])[0]
    covered = np.argwhere((true_mesh[:SIZE] < 255).any(axis=-1))
    for axis, coordinate in ((1, 0), (0, 1)):
        low, high = points[:, coordinate].min(), points[:, coordinate].max()
        assert abs(covered[:, axis].min() / SIZE - low) < 0.03
        assert abs(covered[:, axis].max() / SIZE - high) < 0.03


def test_pairs_show_their_coarse_maps_as_meshes_too(sheet_config, sheet_source):
    source = sheet_source(sheet_config)
    uv_map = first_four(source.training_batch(0)).uv_map
    pairs = SurfacePairs(uv_map + 0.2, uv_map, np.ones(len(uv_map)))
    drawn = draw_maps(pairs, uv_map, atlas=source.atlas)
    coarse, _, true, coarse_mesh, _, true_mesh = panels(drawn)
    assert (coarse.astype(int) - true).mean() > 10
    assert not np.array_equal(coarse_mesh, true_mesh)


def test_wild_answers_can_be_drawn(sheet_config, sheet_source):
    source = sheet_source(sheet_config)
    batch = first_four(source.training_batch(0))
    wild = 1e6 * np.random.default_rng(0).normal(size=batch.uv_map.shape)
    assert draw_maps(batch, wild, atlas=source.atlas).dtype == np.uint8
