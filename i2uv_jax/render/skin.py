"""The colour, relief and gloss of a person's skin at every sample. Pure and jit-able.

A person wears either a photographic texture or a procedural one: features of known place
(`skin_features`) in strengths and colours of their own. Both are looked up in the skin atlas with
one gather, mixed with seamless noise, so that no two pictures share a pattern that is not anatomy,
and shifted in tone, hue, contrast and saturation. Colours are linear RGB.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from i2uv_jax.config import SkinConfig
from i2uv_jax.render.colour import LUMINANCE_WEIGHTS, luminance
from i2uv_jax.render.draws import draw
from i2uv_jax.render.monk_scale import LAST_PLACE, linear_tones, tone_at
from i2uv_jax.render.skin_atlas import unpack
from i2uv_jax.render.skin_features import NUM_VARIANTS
from i2uv_jax.render.skin_textures import SkinTextures

_PALM_LOG = np.log(np.array([0.60, 0.35, 0.26], np.float32))
"""What palms of all people tend to, as their skin there holds little pigment."""
_NAIL_LOG = np.log(np.array([0.66, 0.42, 0.36], np.float32))
_NAIL_EDGE_LOG = np.log(np.array([0.72, 0.64, 0.55], np.float32))
_ALBEDO_OF_TONE_LOG = np.array([-0.20, -0.40, -0.36], np.float32)
_BLOOD = np.array([-0.05, -0.55, -0.40], np.float32)
"""Log gain of much blood under the skin."""
_VEIN = np.array([-0.34, -0.10, -0.02], np.float32)
_PIGMENT = np.array([-0.55, -0.95, -1.25], np.float32)
_CREASE = np.array([-0.35, -0.75, -0.75], np.float32)


class Skin(NamedTuple):
    """One person's skin: what `sample_skin_look` draws. Scalars unless said otherwise."""

    texture: Array
    """Index into `SkinTextures.atlases`."""
    is_photo: Array
    tone_log: Float[Array, "3"]
    photo_mean_log: Float[Array, "3"]
    palm: Array
    redness: Array
    veins: Array
    spots: Array
    creases: Array
    nails: Array
    polish: Array
    polish_colour: Float[Array, "3"]
    contrast: Array
    saturation: Array
    shift_log: Float[Array, "3"]
    mottling: Float[Array, "2"]
    blotch_log: Float[Array, "3"]
    relief: Float[Array, "2"]
    """Of the features' heights and of the fine noise."""
    gloss: Array
    warp: Array
    noise_offset: Float[Array, "2 2"]
    noise_turn: Float[Array, "2"]


class SkinSamples(NamedTuple):
    """What the surface is like at each sample. Components come first, as everywhere below: CPUs
    work on whole vectors of samples, not on threes."""

    albedo: Float[Array, "3 n"]
    slope: Float[Array, "2 n"]
    """Slope of the relief along the atlas's x and y, as the tangent of an angle."""
    gloss: Float[Array, "n"]
    """Strength of the reflection relative to plain skin."""
    noise: Float[Array, "n"]
    """Fine noise about 0, for other surfaces to use."""


def sample_skin_look(key: Array, config: SkinConfig, textures: SkinTextures) -> Skin:
    """A random person's skin."""
    uniforms, normals = draw(key, 25, 9)
    uniforms = iter(uniforms)

    def uniform(low=0.0, high=1.0):
        return low + (high - low) * next(uniforms)

    num_photos = textures.num_photos
    is_photo = uniform() < (config.photo_share if num_photos else 0.0)
    photo = jnp.minimum(uniform(0, num_photos).astype(int), max(num_photos - 1, 0))
    variant = jnp.minimum(uniform(0, NUM_VARIANTS).astype(int), NUM_VARIANTS - 1)
    # Not even: most people in most photos are of the lighter half of the scale.
    place = 0.5 + (LAST_PLACE - 0.6) * uniform() ** 1.3
    tone = tone_at(jnp.log(linear_tones()), place) + _tone_to_albedo(place)
    photo_mean = tone
    if num_photos:
        photo_mean = jnp.asarray(textures.photo_tones)[photo]
    detail, variation = config.detail, config.variation
    hue = 0.04 * normals[:3] + 0.08 * normals[3] * jnp.array([0.0, 0.35, 1.0])
    return Skin(
        texture=jnp.where(is_photo, NUM_VARIANTS + photo, variant),
        is_photo=is_photo,
        tone_log=tone,
        photo_mean_log=photo_mean,
        palm=detail * uniform(0.2, 0.62),
        redness=detail * uniform(0.1, 0.75),
        veins=detail * uniform(0.0, 1.0) ** 2 * 0.9,
        spots=detail * jnp.maximum(uniform(-0.7, 0.6), 0),
        creases=detail * uniform(0.15, 0.75),
        nails=detail * uniform(0.3, 0.8),
        polish=detail * (uniform() < 0.1),
        polish_colour=jnp.stack([uniform(0.1, 0.8) ** 2 for _ in range(3)]),
        contrast=1 + variation * 0.2 * normals[4],
        saturation=1 + variation * 0.15 * normals[5],
        shift_log=variation * (hue + 0.18 * normals[6]),
        mottling=detail * jnp.stack([uniform(0.01, 0.1), uniform(0.02, 0.09)]),
        blotch_log=_BLOOD + 0.25 * normals[7] * _PIGMENT,
        relief=config.relief * jnp.stack([uniform(0.2, 0.9), uniform(0.02, 0.08)]),
        gloss=jnp.exp(0.45 * normals[8] - 0.35),
        warp=detail * uniform(0.0, 0.012),
        noise_offset=jnp.stack([uniform() for _ in range(4)]).reshape(2, 2),
        noise_turn=2 * jnp.pi * jnp.stack([uniform(), uniform()]),
    )


def mean_log(skin: Skin) -> Float[Array, "3"]:
    """Logarithm of the skin's linear colour, on the whole."""
    return jnp.where(skin.is_photo, skin.photo_mean_log, skin.tone_log) + skin.shift_log


def monk_tone(skin: Skin) -> Int[Array, ""]:
    """The tone of the Monk scale, 1 to 10, whose luminance is nearest in logarithm."""
    place = jnp.arange(LAST_PLACE + 1)[:, None]
    tones = jnp.log(linear_tones()) + _tone_to_albedo(place)
    distance = jnp.abs(_log_luminance(tones) - _log_luminance(mean_log(skin)))
    return 1 + jnp.argmin(distance)


def _tone_to_albedo(place):
    """Log gain: the scale shows skin as it is seen in good light; its albedo is darker, redder."""
    return _ALBEDO_OF_TONE_LOG * (1 - 0.06 * place)


def _log_luminance(colour_log):
    return jnp.log(luminance(jnp.exp(colour_log)))


def look_up_skin(
    skin: Skin, textures: SkinTextures, uv: Float[Array, "2 n"], texels_per_sample: Array
) -> SkinSamples:
    """The skin at points of the atlas.

    Args:
      uv: atlas coordinates.
      texels_per_sample: distance between neighbouring samples in texels of the skin atlas; noise
        finer than that fades out.
    """
    height, width = textures.atlases.shape[1:3]
    scaled = uv * jnp.array([[width / height], [1.0]])  # both axes in atlas heights
    coarse, _ = _look_up_noise(
        textures.noise, scaled, 0.55, skin.noise_offset[0], skin.noise_turn[0]
    )
    tiles = 3.5
    fine, fine_slope = _look_up_noise(
        textures.noise, scaled, tiles, skin.noise_offset[1], skin.noise_turn[1]
    )
    # Fine noise has about one wave per `period` texels of the atlas.
    period = height / (tiles * 70)
    visible = jnp.clip(2 * period / jnp.maximum(texels_per_sample, 1e-3), 0, 1)
    warped = uv + skin.warp * jnp.stack([coarse[0], coarse[1]])
    word0, word1, slope = _look_up_atlas(textures.atlases, skin.texture, warped)
    palm, redness, vein, spots = word0
    nail, crease, _, nail_edge = word1
    on_skin = 1 - nail

    mottling = skin.mottling[0] * coarse[0] + skin.mottling[1] * (
        coarse[1] + 0.6 * fine[1] + visible * 0.3 * fine[3]
    )
    crease_depth = skin.creases * crease * (1 + 0.4 * fine[0])
    nails, nail_edges = skin.nails * nail, 0.7 * skin.nails * nail_edge
    # The barriers here and below keep CPUs from working out features anew for each channel, within
    # a stack, where nothing vectorises.
    albedo = []
    for c in range(3):
        value = skin.tone_log[c] + skin.palm * palm * (_PALM_LOG[c] - skin.tone_log[c])
        value += skin.redness * redness * _BLOOD[c]
        value += skin.veins * vein * (1 - 0.4 * palm) * _VEIN[c]
        value += skin.spots * spots * _PIGMENT[c] + crease_depth * _CREASE[c]
        value += nails * (_NAIL_LOG[c] - value)
        value += nail_edges * (_NAIL_EDGE_LOG[c] - value)
        # sRGB decoded by a cubic (Chapman 2010), which is much cheaper than its definition.
        photo = word0[c] * (word0[c] * (word0[c] * 0.305306011 + 0.682171111) + 0.012522878)
        value = jnp.where(skin.is_photo, jnp.log(jnp.maximum(photo, 2e-3)), value)
        value += jnp.where(skin.is_photo, 0.4, 1.0) * mottling * on_skin * skin.blotch_log[c]
        centre = jnp.where(skin.is_photo, skin.photo_mean_log[c], skin.tone_log[c])
        value = centre + skin.contrast * (value - centre) + skin.shift_log[c]
        albedo.append(jnp.exp(value))
    albedo = jnp.stack(jax.lax.optimization_barrier(albedo))
    grey = sum(LUMINANCE_WEIGHTS[c] * albedo[c] for c in range(3))
    albedo = grey + skin.saturation * (albedo - grey)
    albedo += skin.polish * nail * (skin.polish_colour[:, None] - albedo)

    relief = skin.relief[0] * slope + visible * skin.relief[1] * on_skin * fine_slope
    gloss = skin.gloss * (1 + 0.3 * fine[1]) * (1 - 0.35 * palm * ~skin.is_photo)
    gloss = jnp.maximum(gloss, 0.1) + nail * (1.2 + 2 * skin.polish)
    return SkinSamples(
        albedo=jnp.clip(albedo, 0.003, 0.95), slope=relief, gloss=gloss, noise=fine[1] + fine[2]
    )


def _look_up_atlas(skins, texture, uv):
    """Bilinear: the two words' four channels each (0 to 1), and the slope of the height channel."""
    height, width = skins.shape[1:3]
    rows = jnp.asarray(skins).reshape(-1, 2)
    (column, row), share = _bilinear(uv, width, height)
    columns = [jnp.clip(column + step, 0, width - 1) for step in (0, 1)]
    first = texture * (height * width)
    places = [
        first + jnp.clip(row + step, 0, height - 1) * width + x for step in (0, 1) for x in columns
    ]
    texels = jax.lax.optimization_barrier([rows[place] for place in places])
    channels = []
    for word in range(2):
        corners = [unpack(texel[:, word]) for texel in texels]
        channels.append([_mix([corner[c] for corner in corners], share) for c in range(4)])
    slope = _slope([corner[2] for corner in corners], share)
    return jax.lax.optimization_barrier((*channels, slope))


def _look_up_noise(noise, uv, tiles, offset, turn):
    """Bilinear: four bands (about 0, deviation 1), and the finer two's slope in `uv`'s axes."""
    size = noise.shape[0]
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    turned = jnp.stack([cos * uv[0] - sin * uv[1], sin * uv[0] + cos * uv[1]])
    (column, row), share = _bilinear(turned * tiles + offset[:, None], size, size)
    flat = jnp.asarray(noise).reshape(-1)
    places = [((row + dy) % size) * size + (column + dx) % size for dy in (0, 1) for dx in (0, 1)]
    words = jax.lax.optimization_barrier([flat[place] for place in places])
    corners = [unpack(word) for word in words]
    bands = [5.6 * (_mix([corner[c] for corner in corners], share) - 0.5) for c in range(4)]
    x, y = _slope([5.6 * (corner[2] + 0.6 * corner[3]) for corner in corners], share)
    slope = jnp.stack([cos * x + sin * y, cos * y - sin * x])
    return jax.lax.optimization_barrier((bands, slope))


def _bilinear(uv, width, height):
    """Column and row of the texel up and left, and the shares of its right and lower neighbours."""
    place = uv * jnp.array([[width], [height]], jnp.float32) - 0.5
    floor = jnp.floor(place)
    return floor.astype(jnp.int32), place - floor


def _mix(corners, share):
    top = corners[0] + share[0] * (corners[1] - corners[0])
    bottom = corners[2] + share[0] * (corners[3] - corners[2])
    return top + share[1] * (bottom - top)


def _slope(corners, share):
    """Rise per texel along x and y of the bilinear surface over four corners."""
    x, y = share
    right = (1 - y) * (corners[1] - corners[0]) + y * (corners[3] - corners[2])
    down = (1 - x) * (corners[2] - corners[0]) + x * (corners[3] - corners[1])
    return jnp.stack([right, down])
