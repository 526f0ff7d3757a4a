"""Pairs for SRNet: repeatable, of one hand each, with errors of the stated size."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from i2uv_jax.config import CoarseErrorConfig, RenderConfig, SurfacePairConfig
from i2uv_jax.data.surface_pairs import degrade, sample_pair, turn_pairs
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES, WRIST
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.types import SurfacePairs

SIZE = 64
MIDDLE_MCP = KEYPOINT_NAMES.index("middle_mcp")
EXACT = CoarseErrorConfig(smoothing_texels=0, noise_mm=0, drift_mm=0, shrinkage=0)


@pytest.fixture(scope="module")
def sample():
    hand = load_hand()

    @partial(jax.jit, static_argnums=1)
    def of(key, coarse):
        config, view = SurfacePairConfig(coarse=coarse), RenderConfig(uv_map_size=SIZE)
        keys = jax.random.split(hash_key(key), 4)
        return jax.vmap(lambda one: sample_pair(one, hand, config, view))(keys)

    return of


def test_both_maps_show_one_hand_in_the_crop(sample):
    mask = build_tables(load_hand().atlas, SIZE).texel_mask
    pairs = sample(jax.random.key(0), EXACT)
    coarse, fine = (np.asarray(one)[:, mask] for one in (pairs.coarse_uv_map, pairs.uv_map))
    # The hand fills 40 to 95 % of the crop, and 0.6 mm of some 180 are 0.003 of it.
    assert np.abs(coarse - fine).mean() < 0.003
    assert np.abs(coarse - fine).max() < 0.03
    extent = (fine.max(axis=1) - fine.min(axis=1))[:, :2].max(axis=1)
    assert ((extent > 0.38) & (extent < 0.98)).all()
    # The coarse map of a mesh without errors is the mesh: exactly the same key, the same hand.
    assert np.isfinite(coarse).all()


def test_the_same_key_gives_the_same_pairs(sample):
    first, again, other = (sample(jax.random.key(seed), EXACT) for seed in (1, 1, 2))
    for one, two, three in zip(*map(jax.tree.leaves, (first, again, other)), strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.abs(one - three).max() > 0.05


def test_the_unit_is_that_of_the_hand(sample):
    pairs = sample(jax.random.key(0), EXACT)
    hand = load_hand()
    mesh = vertices_from_uv_map(build_tables(hand.atlas, SIZE), pairs.coarse_uv_map)
    keypoints_mm = np.asarray(pairs.mm_per_unit)[:, None, None] * (hand.keypoint_regressor @ mesh)
    # From the wrist to the middle finger's first joint, the palm: 75 to 115 mm in adults, seen
    # through a camera whose perspective changes lengths by a few per cent.
    palm = np.linalg.norm(keypoints_mm[:, MIDDLE_MCP] - keypoints_mm[:, WRIST], axis=-1)
    assert ((palm > 65) & (palm < 125)).all()


def test_turning_moves_both_maps_about_the_crop_s_middle():
    uv_map = jax.random.uniform(jax.random.key(0), (3, 4, 4, 3))
    pairs = SurfacePairs(uv_map, uv_map + 0.1, np.ones(3))
    turned = turn_pairs(jax.random.key(1), pairs, None)
    centre = np.array([0.5, 0.5, 0])
    for before, after in (
        (pairs.coarse_uv_map, turned.coarse_uv_map),
        (pairs.uv_map, turned.uv_map),
    ):
        np.testing.assert_allclose(after[..., 2], before[..., 2])
        plane = [np.asarray(one - centre)[..., :2] @ [1, 1j] for one in (before, after)]
        # Complex numbers: a turn is one factor for all of a pair's points.
        factor = plane[1] / plane[0]
        np.testing.assert_allclose(np.abs(factor), 1, atol=1e-4)
        np.testing.assert_allclose(
            factor, np.broadcast_to(factor[:, :1, :1], factor.shape), atol=1e-3
        )
    assert np.ptp(np.angle(factor[:, 0, 0])) > 0.1
    small = turn_pairs(jax.random.key(1), pairs, 0.0)
    np.testing.assert_allclose(small.uv_map, pairs.uv_map, atol=1e-6)


def spoilt(config, count=64):
    mask = build_tables(load_hand().atlas, SIZE).texel_mask
    rows, columns = np.mgrid[:SIZE, :SIZE] / np.float32(SIZE - 1)
    uv_map = np.stack([columns, rows, np.sin(9 * rows)], axis=-1).astype(np.float32)

    @jax.jit
    @jax.vmap
    def of(key):
        return degrade(key, uv_map, mask, 0.01, config)

    return uv_map[mask], np.asarray(of(jax.random.split(jax.random.key(3), count)))[:, mask]


def test_noise_has_the_stated_level():
    config = CoarseErrorConfig(smoothing_texels=0, noise_mm=0.5, drift_mm=0, shrinkage=0)
    exact, coarse = spoilt(config)
    deviation_mm = 100 * (coarse - exact).std(axis=(1, 2))
    # The level is drawn evenly from 0 to 0.5 mm for every pair.
    assert deviation_mm.max() < 0.51
    assert 0.2 < deviation_mm.mean() < 0.3


def test_shrinkage_draws_towards_the_middle():
    exact, coarse = spoilt(
        CoarseErrorConfig(smoothing_texels=0, noise_mm=0, drift_mm=0, shrinkage=0.1)
    )
    middle = exact.mean(axis=0)
    ratio = ((coarse - middle) / (exact - middle + 1e-9))[:, np.abs(exact - middle).min(-1) > 0.1]
    share = ratio.mean(axis=(1, 2))
    np.testing.assert_allclose(ratio, np.broadcast_to(share[:, None, None], ratio.shape), atol=1e-3)
    assert share.min() > 0.899
    assert share.max() < 1.0


def test_no_errors_leave_the_map_as_it_is():
    exact, coarse = spoilt(EXACT, count=2)
    np.testing.assert_allclose(coarse, np.broadcast_to(exact, coarse.shape), atol=1e-6)


def test_coarse_maps_of_fewer_texels_are_resized_as_the_network_resizes_them(sample):
    whole = sample(jax.random.key(0), EXACT)
    pairs = sample(jax.random.key(0), dataclasses.replace(EXACT, texels=22))
    np.testing.assert_allclose(pairs.uv_map, whole.uv_map, atol=1e-5)
    # 63 = 3 x 21: every third texel stands where one of the coarse map's stood, and holds the same
    # surface point inside the chart; between two of them are their means.
    coarse = np.asarray(pairs.coarse_uv_map)
    inside = build_tables(load_hand().atlas, SIZE).texel_mask[::3, ::3]
    np.testing.assert_allclose(
        coarse[:, ::3, ::3][:, inside], whole.coarse_uv_map[:, ::3, ::3][:, inside], atol=1e-5
    )
    np.testing.assert_allclose(
        coarse[:, 1::3], (2 * coarse[:, :-3:3] + coarse[:, 3::3]) / 3, atol=1e-5
    )
