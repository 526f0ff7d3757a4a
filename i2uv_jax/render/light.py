"""Light on skin: surroundings as spherical harmonics, a few lamps, gloss, light under the skin.

Pure and jit-able; linear RGB; vectors in the camera frame (x right, y down, z away). Irradiance is
stated divided by pi, so that a white surface under surroundings of radiance 1 has radiance 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.config import LightConfig
from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.ops.dot3 import dot3
from i2uv_jax.render.colour import luminance
from i2uv_jax.render.draws import draw
from i2uv_jax.render.shading import sample_tints

NUM_LAMPS = 3
_NUM_LOBES = 5
_LAMP_SHARES = np.array([0.85, 0.45, 0.2], np.float32)
"""How often each lamp is there at all."""
_COSINE_BANDS = np.array([1] + 3 * [2 / 3] + 5 * [1 / 4], np.float32)
"""The cosine's convolution of spherical harmonics, per coefficient, over pi (Ramamoorthi and
Hanrahan 2001, "An efficient representation for irradiance environment maps")."""
_LOBE_BANDS = np.array([1] + 3 * [0.85] + 5 * [0.55], np.float32)
"""Softens a point of light to a window's size, so that the truncated series hardly turns negative.
"""
_BLEED = np.array([0.42, 0.14, 0.07], np.float32)
"""How far light of each colour reaches past the terminator under the skin, as a share of the
radius of curvature."""
_REFLECTANCE = 0.028
"""Of skin at normal incidence."""

_KNEE = 0.55
"""Linear value from which a camera compresses highlights."""


class Light(NamedTuple):
    """Everything that shines on one scene."""

    harmonics: Float[Array, "9 3"]
    """Coefficients of the surroundings' radiance in the real spherical harmonics of `basis`."""
    directions: Float[Array, "l 3"]
    """Unit vectors towards the lamps."""
    colours: Float[Array, "l 3"]
    """Irradiance (over pi) of each lamp on a surface that faces it; zero for absent ones."""
    spreads: Float[Array, "l"]
    """Tangent of each lamp's angular radius."""


def basis(directions: Float[Array, "3 *b"]) -> Float[Array, "9 *b"]:
    """Real spherical harmonics up to order two, scaled so that the first is 1.

    The scale is the square root of 4 pi: the mean over the sphere of each one's square is 1, and
    coefficients are means over the sphere of radiance times harmonic.
    """
    x, y, z = directions
    root3, root5, root15 = np.sqrt(3), np.sqrt(5), np.sqrt(15)
    return jnp.stack(
        [
            jnp.ones_like(x), root3 * y, root3 * z, root3 * x,
            root15 * x * y, root15 * y * z, root5 / 2 * (3 * z * z - 1), root15 * x * z,
            root15 / 2 * (x * x - y * y),
        ]
    )  # fmt: skip


def irradiance(
    harmonics: Float[Array, "9 3"], normals: Float[Array, "3 *b"]
) -> Float[Array, "3 *b"]:
    """Irradiance over pi on surfaces under surroundings of the given radiance; at least 0."""
    shares = _COSINE_BANDS[:, None] * harmonics
    values = basis(normals)
    # As sums: a product of matrices would be worked out at reduced precision on some devices.
    total = [sum(shares[i, c] * values[i] for i in range(9)) for c in range(3)]
    return jnp.maximum(jnp.stack(total), 0)


def sample_light_rig(key: Array, config: LightConfig, brightness: Float[Array, ""]) -> Light:
    """Random surroundings and lamps, exposed for a surface of the given albedo.

    Surroundings are a tinted constant and some soft lobes: a bright side above, a coloured floor,
    windows or walls anywhere. `config.environment` scales how far they depart from a constant.
    """
    draw_key, tint_key = jax.random.split(key)
    num_vectors = 2 * _NUM_LOBES + NUM_LAMPS + 1
    uniforms, normals = draw(draw_key, _NUM_LOBES + 3 * NUM_LAMPS + 1, 3 * num_vectors)
    normals = normals.reshape(num_vectors, 3)
    tints = sample_tints(tint_key, _NUM_LOBES + NUM_LAMPS + 1)
    lobe_draws, lamp_draws = uniforms[:_NUM_LOBES], uniforms[_NUM_LOBES:-1].reshape(3, NUM_LAMPS)
    lobe_normals, surface_normals, lamp_normals = jnp.split(
        normals[:-1], [_NUM_LOBES, 2 * _NUM_LOBES]
    )

    up = normalize(jnp.array([0.0, -1.0, -0.2]) + 0.45 * lobe_normals[0])
    lobes = jnp.concatenate([up[None], -up[None], normalize(lobe_normals[2:])])
    strength = lobe_draws**2 * jnp.array([1.1, 0.5, 0.9, 0.7, 0.5])
    # What is below or beside reflects light of its own colour.
    surfaces = jnp.exp(0.3 * surface_normals * jnp.array([0, 1, 0, 0.6, 1])[:, None])
    lobe_colours = strength[:, None] * tints[:_NUM_LOBES] * surfaces
    harmonics = config.environment * (_LOBE_BANDS[:, None] * basis(lobes.T)) @ lobe_colours
    harmonics = harmonics.at[0].add((0.08 + 0.37 * uniforms[-1]) * tints[-1])

    # More often from above and from the camera's side.
    spread_out = lamp_normals * jnp.array([1.1, 1.0, 0.8])
    directions = normalize(spread_out - jnp.array([0.0, 0.7, 0.5]))
    power = (0.2 + 2.0 * lamp_draws[0]) * (lamp_draws[1] < _LAMP_SHARES)
    power *= jnp.array([1.0, 0.5, 0.5])
    colours = power[:, None] * tints[_NUM_LOBES:-1]
    spreads = 0.03 * jnp.exp(lamp_draws[2] * np.log(20))

    # A camera exposes for what it sees: the mean over the directions that face it.
    facing = normalize(
        jnp.array([[0, 0, -1], [1, 0, -1], [-1, 0, -1], [0, 1, -1], [0, -1, -1]], jnp.float32)
    )
    seen = irradiance(harmonics, facing.T).T + jnp.maximum(facing @ directions.T, 0) @ colours
    level = luminance(seen).mean()
    # Cameras meter the whole picture, so dark skin stays darker than light skin, but not as dark.
    target = 0.30 * (jnp.maximum(brightness, 0.02) / 0.3) ** 0.75 / jnp.maximum(brightness, 0.02)
    gain = target / level * jnp.exp(config.exposure * normals[-1, 0] * np.log(2))
    return Light(harmonics * gain, directions, colours * gain, spreads)


def reflected_light(
    light: Light,
    config: LightConfig,
    *,
    normals: Float[Array, "3 n"],
    view: Float[Array, "3 n"],
    albedo: Float[Array, "3 n"],
    gloss: Float[Array, "n"],
    sharpness: Float[Array, "n"],
    metal: Float[Array, "n"],
    ambient: Float[Array, "n"],
    visible: Float[Array, "l n"],
) -> Float[Array, "3 n"]:
    """Radiance that leaves each surface point towards the camera.

    Args:
      normals: unit normals, with the relief.
      view: unit vectors to the camera.
      gloss: strength of the reflection, 1 for plain skin.
      sharpness: exponent of the highlight.
      metal: 1 where the albedo colours the reflection and nothing is scattered, 0 on skin.
      ambient: share of the surroundings that reaches the point.
      visible: share of each lamp.
    """
    # Between surfaces light is reflected again and again, so occluded places of a bright colour
    # lose less of it (Jimenez et al. 2016, "Practical real-time strategies for accurate indirect
    # occlusion", eq. 10).
    a, b, c = 2.0404 * albedo - 0.3324, 0.6417 - 4.7951 * albedo, 2.7552 * albedo + 0.6903
    occluded = jnp.maximum(ambient, ((ambient * a + b) * ambient + c) * ambient)
    around = irradiance(light.harmonics, normals)
    diffuse = around * jnp.clip(occluded, 0, 1)

    rim = 1 - jnp.clip(dot3(normals, view), 0, 1)
    fresnel = _REFLECTANCE + 0.09 * (rim * rim) * (rim * rim)
    reflected = jnp.zeros_like(diffuse)
    bleed = config.subsurface * _BLEED[:, None]
    for lamp in range(NUM_LAMPS):
        direction, colour = light.directions[lamp][:, None], light.colours[lamp][:, None]
        cosine = dot3(normals, direction)
        wrapped = jnp.maximum((cosine + bleed) / (1 + bleed), 0)
        # The square keeps the terminator soft; both are 1 facing the lamp.
        wrapped += 0.6 * bleed * (wrapped * wrapped - wrapped)
        # Under the skin red light also creeps into cast shadows.
        lit = visible[lamp] * (1 + bleed * (1 - visible[lamp]))
        diffuse += wrapped * lit * colour
        half = view + direction
        aligned = dot3(normals, half) * jax.lax.rsqrt(dot3(half, half) + 1e-9)
        lobe = (sharpness + 8) / 8 * jnp.exp(sharpness * (jnp.clip(aligned, 0, 1) - 1))
        reflected += lobe * jnp.clip(4 * cosine, 0, 1) * visible[lamp] * colour
    shine = config.gloss * gloss * fresnel
    base = (1 - 0.75 * metal) * albedo
    mirror = shine + metal * (0.5 * albedo - shine)
    # Surroundings are mirrored blurred: their irradiance along the normal stands in for it.
    return base * diffuse + mirror * (reflected + around * ambient)


def compress_highlights(radiance: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """A camera's tone curve: as it is up to a knee, then ever nearer to 1 without reaching it."""
    room = 1 - _KNEE
    return jnp.where(
        radiance < _KNEE, radiance, 1 - room * jnp.exp(-jnp.maximum(radiance - _KNEE, 0) / room)
    )
