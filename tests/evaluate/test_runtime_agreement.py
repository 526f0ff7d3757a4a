"""Rendered hands for networks with and without keypoints, and distances worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.evaluate.rendered_crops import RenderedCrops, rendered_crops
from i2uv_jax.evaluate.runtime_agreement import agreement, aligned_keypoint_error_mm


def config(takes_keypoints):
    affine = AffineNetConfig(
        "resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, takes_keypoints=takes_keypoints
    )
    return HandNetConfig(affine, sr=None, image_size=32)


def test_every_other_hand_is_told_where_the_network_takes_keypoints(fast_renderer):
    crops = rendered_crops(config(True), 11, seed=0)
    assert len(crops) == 11 and crops.images.shape == (11, 32, 32, 3)
    assert crops.is_told.tolist() == 5 * [True, False] + [True]
    np.testing.assert_array_equal(crops.told_keypoints[crops.is_told][:, 0, 2], 0)
    assert not rendered_crops(config(False), 3, seed=0).is_told.any()
    rest = crops[9:]
    assert len(rest) == 2 and rest.is_told.tolist() == [False, True]
    (_, last) = rest.network_inputs
    np.testing.assert_array_equal(last["image"], crops.images[10])
    np.testing.assert_array_equal(last["keypoints"], crops.told_keypoints[10])


def test_distances_by_hand():
    told = np.zeros((3, 21, 3))
    told[1] = np.nan
    keypoints = np.random.default_rng(0).normal(size=(3, 21, 3))
    crops = RenderedCrops(np.zeros((3, 2, 2, 3), np.uint8), told, keypoints)
    vertices = np.zeros((3, 2, 3))
    moved = vertices.copy()
    moved[0, 0] = [3, 4, 0]
    moved[1, :, 2] = 2
    # Alignment takes out turns, places and sizes.
    found = SimpleNamespace(vertices_mm=moved, keypoints_3d_mm=2 * keypoints + 1)
    distances = agreement(SimpleNamespace(vertices_mm=vertices), found, crops)
    assert distances.mean_mm == pytest.approx((5 + 0 + 2 + 2 + 0 + 0) / 6)
    assert distances.largest_mm == 5
    assert distances.told_mean_mm == pytest.approx(5 / 4)
    assert distances.untold_mean_mm == 2
    all_told = RenderedCrops(crops.images, np.zeros((3, 21, 3)), keypoints)
    assert agreement(found, found, all_told).untold_mean_mm is None
    assert aligned_keypoint_error_mm(found, crops) == pytest.approx(0, abs=1e-5)
