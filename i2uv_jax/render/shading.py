"""Skin and light, per vertex. Pure and jit-able; colours are linear RGB unless said otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.render.monk_scale import LAST_PLACE, linear_tones, tones_around

_NUM_WAVES = 12

_WARMTH = np.array([0.1, 0.0, -0.14], np.float32)
"""Log gain of red, green and blue by which common illuminants differ: from blue sky to lamps."""


def sample_tints(key: Array, count: int) -> Float[Array, "count 3"]:
    """Random colours of light or white balances: gains per channel, mostly warmer or cooler."""
    warmth, rest = jnp.split(jax.random.normal(key, (count, 4)), [1], axis=1)
    return jnp.exp(warmth * _WARMTH + 0.03 * rest)


def sample_skin(
    key: Array, rest_vertices_m: Float[Array, "v 3"], rest_normals: Float[Array, "v 3"]
) -> Float[Array, "v 3"]:
    """Albedo of a random skin.

    A tone between two neighbours of the Monk scale; the palm lighter and redder than the back;
    mottling as a few random waves through the rest pose.

    Args:
      rest_vertices_m: hand frame, metres.
      rest_normals: unit normals; +z is the palm's side.
    """
    tone_key, palm_key, tint_key, wave_key = jax.random.split(key, 4)
    place = jax.random.uniform(tone_key) * LAST_PLACE
    lighter, darker, fraction = tones_around(linear_tones(), place)
    tone = (1 - fraction) * lighter + fraction * darker
    tone *= jnp.exp(0.06 * jax.random.normal(tint_key, (3,))) * jnp.array([1.0, 0.88, 0.84])

    palm = jax.nn.sigmoid(6 * rest_normals[:, 2:]) * jax.random.uniform(palm_key, minval=0.2)
    palm_tone = tone ** jnp.array([0.72, 0.84, 0.88])
    albedo = (1 - palm) * tone + palm * palm_tone

    direction_key, phase_key, strength_key = jax.random.split(wave_key, 3)
    wave_numbers = jax.random.normal(direction_key, (_NUM_WAVES, 3)) * 120
    phases = jax.random.uniform(phase_key, (_NUM_WAVES,), maxval=2 * jnp.pi)
    waves = jnp.cos(rest_vertices_m @ wave_numbers.T + phases).mean(axis=1, keepdims=True)
    strength = jax.random.uniform(strength_key, maxval=0.5)
    return jnp.clip(albedo * jnp.exp(strength * waves * jnp.array([0.6, 1.0, 1.0])), 0, 1)


def sample_light(
    key: Array, normals: Float[Array, "v 3"], view: Float[Array, "v 3"]
) -> tuple[Float[Array, "v 3"], Float[Array, "v 3"]]:
    """Random light on a surface: (irradiance that multiplies the albedo, gloss that adds to it).

    Ambient light with a gradient along a random axis and one directional light, softly wrapped
    around the terminator as light that scatters under skin is; Blinn-Phong gloss.

    Args:
      normals: unit normals, camera frame.
      view: unit vectors from the surface to the camera.
    """
    keys = jax.random.split(key, 8)
    towards_light = jax.random.normal(keys[0], (3,)) * jnp.array([1.0, 1.0, 0.8])
    towards_light -= jnp.array([0.0, 0.6, 0.8])  # more often from above and from the camera's side
    towards_light /= jnp.linalg.norm(towards_light) + 1e-6
    sky = jax.random.normal(keys[1], (3,))
    sky /= jnp.linalg.norm(sky) + 1e-6
    sun_colour, sky_colour = sample_tints(keys[2], 2)
    sun = jax.random.uniform(keys[3], minval=0.1, maxval=1.2)
    ambient = jax.random.uniform(keys[4], minval=0.15, maxval=0.9)
    slope = jax.random.uniform(keys[5], maxval=0.6)
    wrap = jax.random.uniform(keys[6], maxval=0.4)

    facing = normals @ towards_light
    diffuse = jnp.maximum((facing + wrap) / (1 + wrap), 0)[:, None]
    irradiance = sun * diffuse * sun_colour
    irradiance += ambient * (1 + slope * (normals @ sky))[:, None] * sky_colour
    half = view + towards_light
    half /= jnp.linalg.norm(half, axis=-1, keepdims=True) + 1e-6
    strength, power = jax.random.uniform(keys[7], (2,))
    power = 6 + 40 * power
    highlight = jnp.maximum(jnp.sum(normals * half, axis=-1), 0) ** power
    gloss = 0.25 * strength**2 * sun * (highlight * (facing > 0))[:, None] * sun_colour
    return irradiance, gloss
