"""What is worn lies where the body has it and covers what is under it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import ForearmConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render.accessories import (
    Surface,
    dress_samples,
    dress_vertices,
    sample_accessories,
)
from i2uv_jax.render.skin_atlas import mean_rest_vertices_mm


@pytest.fixture(scope="module")
def hand():
    return load_hand()


@pytest.fixture(scope="module")
def rest_mm(hand):
    return mean_rest_vertices_mm(hand).astype(np.float32)


def _worn(hand, seed, **shares):
    none = {"sleeve_share": 0.0, "ring_share": 0.0, "band_share": 0.0}
    config = ForearmConfig(**{**none, **shares})
    return sample_accessories(jax.random.key(seed), hand, config)


def _dress(worn, rest_mm):
    count = len(rest_mm)
    bare = Surface(
        albedo=jnp.full((3, count), 0.3),
        gloss=jnp.ones(count),
        sharpness=jnp.full(count, 20.0),
        metal=jnp.zeros(count),
        ambient=jnp.ones(count),
        slopes=jnp.zeros((2, count)),
    )
    return bare, dress_samples(worn, bare, rest_mm.T, jnp.zeros(count))


def test_shares_zero_leave_everything_bare(hand, rest_mm):
    worn = _worn(hand, 0)
    bare, dressed = _dress(worn, rest_mm)
    jax.tree.map(np.testing.assert_array_equal, dressed, bare)
    along = rest_mm @ hand.forearm_axis
    vertices = 1e-3 * rest_mm
    np.testing.assert_array_equal(
        dress_vertices(worn.sleeve, rest_mm, along, vertices, np.ones_like(vertices)), vertices
    )


def test_a_ring_is_worn_on_one_finger_beyond_its_knuckle(hand, rest_mm):
    for seed in range(4):
        _, dressed = _dress(_worn(hand, seed, ring_share=1.0), rest_mm)
        on = rest_mm[np.asarray(dressed.metal) > 0.5]
        # Vertices are about 3 mm apart, so a narrow ring may lie between their rows.
        assert (on[:, 1] > 85).all()
        assert len(on) == 0 or np.ptp(on[:, 0]) < 28


def test_a_sleeve_covers_the_forearm_beyond_its_cuff_and_stands_off(hand, rest_mm):
    worn = _worn(hand, 1, sleeve_share=1.0)
    bare, dressed = _dress(worn, rest_mm)
    along = rest_mm @ hand.forearm_axis
    covered = along > worn.sleeve.cuff_mm
    assert covered.any() and not covered.all()
    np.testing.assert_array_equal(np.asarray(dressed.sharpness) != bare.sharpness, covered)
    normals = np.tile([0.0, 0.0, 1.0], (len(rest_mm), 1)).astype(np.float32)
    vertices = 1e-3 * rest_mm
    pushed = dress_vertices(worn.sleeve, rest_mm, along, vertices, normals) - vertices
    assert pushed[along > worn.sleeve.cuff_mm + 15, 2].min() > 0
    assert np.abs(pushed[along < worn.sleeve.cuff_mm - 30]).max() < 1e-6


def test_a_band_falls_away_to_both_sides_of_its_middle(hand, rest_mm):
    worn = _worn(hand, 3, band_share=1.0)
    band = jax.tree.map(lambda leaf: leaf[1], worn.bands)
    # Two points of the strap, on the palm's side where no watch face is.
    palmar, axis = hand.palmar_normals[0], hand.forearm_axis
    middle = np.asarray(band.centre_mm) + 24 * (palmar - (palmar @ axis) * axis)
    apart = 0.5 * float(band.half_width_mm) * axis
    _, dressed = _dress(worn, np.stack([middle - apart, middle, middle + apart]))
    # Of a parabola of height 0.8 over half a width of 1, half way to its edges.
    np.testing.assert_allclose(dressed.slopes[1], [0.8, 0, -0.8], atol=1e-4)
    assert not np.asarray(dressed.slopes)[0].any()
