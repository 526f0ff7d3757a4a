"""Light and shadow against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import LightConfig
from i2uv_jax.render.light import (
    NUM_LAMPS,
    Light,
    basis,
    compress_highlights,
    irradiance,
    reflected_light,
    sample_light_rig,
)
from i2uv_jax.render.occlusion import hidden_around, hidden_light, thing_capsule

NORMALS = np.random.default_rng(0).normal(size=(50, 3))
NORMALS = (NORMALS / np.linalg.norm(NORMALS, axis=1, keepdims=True)).T.astype(np.float32)
POINT = jnp.zeros((3, 1))
LIGHT = jnp.array([0.0, 0.0, -1.0])


def test_constant_surroundings_give_constant_irradiance():
    # Radiance L from everywhere gives irradiance pi L on every surface, so L over pi.
    harmonics = jnp.zeros((9, 3)).at[0].set(jnp.array([0.2, 0.5, 1.0]))
    expected = np.tile([[0.2], [0.5], [1.0]], (1, 50))
    np.testing.assert_allclose(irradiance(harmonics, NORMALS), expected, rtol=1e-6)


def test_irradiance_of_a_gradient_is_two_thirds_of_it():
    # Radiance 1 + y: the linear band's cosine factor over pi is 2/3.
    harmonics = jnp.zeros((9, 3)).at[0].set(1.0).at[1].set(1 / np.sqrt(3))
    expected = np.tile(1 + 2 / 3 * NORMALS[1], (3, 1))
    np.testing.assert_allclose(irradiance(harmonics, NORMALS), expected, atol=1e-5)


def test_harmonics_are_orthonormal_over_the_sphere():
    # A Fibonacci lattice covers the sphere evenly.
    index = np.arange(20000) + 0.5
    z, turn = 1 - 2 * index / 20000, np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - z**2)
    values = np.asarray(basis(np.stack([radius * np.cos(turn), radius * np.sin(turn), z])))
    np.testing.assert_allclose(values @ values.T / 20000, np.eye(9), atol=2e-3)


def test_a_caster_before_the_light_darkens_and_one_behind_does_not():
    def share(z, x=0.0):
        start, end = jnp.array([x, -0.02, z]), jnp.array([x, 0.02, z])
        return float(hidden_light(POINT, start, end, jnp.float32(0.01), LIGHT, 0.05)[0])

    assert share(-0.05) > 0.99
    assert share(0.05) == 0
    assert share(-0.05, x=0.04) == 0
    # On the edge of the shadow half of the light is hidden.
    assert share(-0.05, x=0.01) == pytest.approx(0.5, abs=1e-3)


def test_a_wider_light_casts_a_softer_shadow():
    start, end = jnp.array([0.013, -0.02, -0.05]), jnp.array([0.013, 0.02, -0.05])
    narrow, wide = (
        float(hidden_light(POINT, start, end, jnp.float32(0.01), LIGHT, spread)[0])
        for spread in (0.01, 0.5)
    )
    assert narrow < 0.01 < 0.2 < wide < 0.5


def test_a_thin_caster_hides_a_strip_of_a_wide_light():
    def share(radius):
        start, end = jnp.array([0.0, -0.2, -0.1]), jnp.array([0.0, 0.2, -0.1])
        return float(hidden_light(POINT, start, end, jnp.float32(radius), LIGHT, 0.4)[0])

    # A strip of half width h through the middle of a disc of radius 1 covers
    # 2 / pi (asin h + h sqrt(1 - h^2)) of it.
    for half in (0.05, 0.25, 0.5):
        exact = 2 / np.pi * (np.arcsin(half) + half * np.sqrt(1 - half**2))
        assert share(0.04 * half) == pytest.approx(exact, abs=0.07)


def test_the_capsule_of_a_can_and_of_a_ball():
    centre, axes = jnp.array([0.1, 0.2, 0.5]), jnp.eye(3)[::-1]
    start, end, radius = thing_capsule(centre, axes, jnp.array([0.01, 0.04, 0.09]))
    assert radius == pytest.approx(0.02)
    np.testing.assert_allclose(start, [0.1 - 0.07, 0.2, 0.5], atol=1e-6)
    np.testing.assert_allclose(end, [0.1 + 0.07, 0.2, 0.5], atol=1e-6)
    start, end, radius = thing_capsule(centre, axes, jnp.full(3, 0.03))
    np.testing.assert_allclose([start, end], [centre, centre], atol=1e-6)
    assert radius == pytest.approx(0.03)


def test_occlusion_counts_above_the_surface_and_fades_with_distance():
    def hidden(z):
        end = jnp.array([0.0, 0.0, z])
        normal = jnp.array([[0.0], [0.0], [-1.0]])
        return float(hidden_around(POINT, normal, end, end, jnp.float32(0.01))[0])

    # A sphere of radius 1 at distance 2 straight above hides a quarter, a capsule 1.25 times that.
    assert hidden(-0.02) == pytest.approx(1.25 / 4, rel=1e-4)
    assert hidden(-0.2) < 0.01
    assert hidden(0.02) == 0


@pytest.fixture(scope="module")
def shade():
    light = Light(
        harmonics=jnp.zeros((9, 3)),
        directions=jnp.tile(LIGHT, (NUM_LAMPS, 1)),
        colours=jnp.zeros((NUM_LAMPS, 3)).at[0].set(1.0),
        spreads=jnp.full(NUM_LAMPS, 0.1),
    )

    def shade(cosine, config):
        normal = jnp.array([[float(np.sqrt(1 - cosine**2))], [0.0], [-cosine]])
        ones = jnp.ones(1)
        return np.asarray(
            reflected_light(
                light, config, normals=normal, view=LIGHT[:, None],
                albedo=jnp.full((3, 1), 0.5), gloss=ones, sharpness=20 * ones, metal=0 * ones,
                ambient=ones, visible=jnp.ones((NUM_LAMPS, 1)),
            )
        )[:, 0]  # fmt: skip

    return shade


def test_without_gloss_and_scattering_light_is_lambert(shade):
    config = LightConfig(gloss=0.0, subsurface=0.0)
    np.testing.assert_allclose(shade(0.6, config), 0.3, rtol=1e-5)
    np.testing.assert_allclose(shade(-0.1, config), 0.0, atol=1e-6)


def test_red_reaches_past_the_terminator(shade):
    red, green, blue = shade(-0.1, LightConfig(gloss=0.0))
    assert red > 2 * green > 0
    assert green > blue >= 0


def test_environment_zero_is_the_same_from_all_sides():
    config = LightConfig(environment=0.0)
    light = sample_light_rig(jax.random.key(0), config, jnp.float32(0.3))
    assert np.abs(light.harmonics[1:]).max() == 0
    assert light.harmonics[0].min() > 0


def test_highlights_are_compressed_without_a_step():
    values = compress_highlights(jnp.array([0.0, 0.3, 0.549, 0.551, 1.0, 4.0]))
    np.testing.assert_allclose(values[:3], [0.0, 0.3, 0.549], atol=1e-6)
    assert values[3] - values[2] < 0.0021
    assert 0.8 < values[4] < values[5] < 1
