"""Backgrounds: pieces of the user's pictures, or drawn rooms, tables, foliage, print and skin.

Pure, jit-able, vmap-able. A drawn picture is painted from back to front:

1. a *backdrop*: two colours mixed by noise whose amplitude falls with frequency as in natural
   scenes (about 1 / f: Field 1987), under a gradient of light, split by up to three straight edges
   (walls, floor, table top);
2. *things*: quadrilaterals in perspective, boxes of two faces, discs, balls and rods, each with its
   own colour, shading, softness and pattern (stripes, tiles, print, noise), some skin-coloured;
3. *depth of field*: a Gaussian blur of the whole.

Before some, drawn or not, stands a face or an arm (`render.people`).

Things are one formula with random numbers, painted in a loop, so the compiled graph stays small.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from i2uv_jax.config import BackgroundConfig
from i2uv_jax.ops.hashing import hash_bits
from i2uv_jax.ops.resize import interpolation_matrix
from i2uv_jax.render.monk_scale import sample_tone
from i2uv_jax.render.people import paint_bystander
from i2uv_jax.render.picture_folder import sample_picture
from i2uv_jax.render.sensor import blur_and_sample
from i2uv_jax.render.shading import sample_tints

_OCTAVES = (2, 4, 8, 16, 32, 64)
_NUM_EDGES = 3
_NUM_THINGS = 12
_PLAIN_SHARE = 0.12
_EMPTY_SHARE = 0.15
"""Of the drawn pictures: those with one colour and soft light (a wall, a studio), and those with a
backdrop but without things."""
_LARGEST_DRAWN = 128
"""Side in pixels above which pictures are drawn smaller and enlarged: a quarter of the time at 256,
and a background that is a little softer than the hand."""
_NUM_NUMBERS = 24
"""Uniform random numbers per thing."""


def sample_background(
    key: PRNGKeyArray,
    size: int,
    config: BackgroundConfig | None = None,
    pictures: UInt8[Array, "n s s 3"] | None = None,
) -> Float[Array, "size size 3"]:
    """A random background, sRGB-encoded, 0 to 1.

    Args:
      pictures: of `render.picture_folder`; a share `folder_share` of backgrounds are pieces of
        them. None draws every background.
    """
    config = BackgroundConfig() if config is None else config
    picture = _sample_scenery(key, size, config, pictures)
    if config.people_share > 0:
        person_key = jax.random.fold_in(key, 1)
        picture = paint_bystander(person_key, picture, share=config.people_share)
    return jnp.swapaxes(picture, 1, 2)


def _sample_scenery(key, size, config, pictures):
    """A background without people, its channels between rows and columns."""
    share_key, picture_key, draw_key, blur_key = jax.random.split(key, 4)
    # A third of the backgrounds is as sharp as the hand.
    blur = jnp.maximum(1.5 * jax.random.uniform(blur_key) - 0.5, 0) ** 2 * config.defocus
    if pictures is None or config.folder_share == 0:
        return draw_background(draw_key, size, blur, config)
    return jax.lax.cond(
        jax.random.bernoulli(share_key, config.folder_share),
        lambda: jnp.swapaxes(sample_picture(picture_key, pictures, size, blur), 1, 2),
        lambda: draw_background(draw_key, size, blur, config),
    )


def draw_background(
    key: PRNGKeyArray, size: int, blur: Float[Array, ""] | float, config: BackgroundConfig
) -> Float[Array, "size 3 size"]:
    """A drawn background; `blur` is a standard deviation in sides of the picture."""
    keys = jax.random.split(key, 5)
    palette = _palette(keys[0])
    if config.clutter == 0:
        return jnp.broadcast_to(palette[0][:, None], (size, 3, size))
    drawn = min(size, _LARGEST_DRAWN)
    lots = jax.random.uniform(keys[1], (4,))
    is_plain = lots[0] < _PLAIN_SHARE
    texture = natural_noise(keys[2], drawn, slope=0.05 + 1.1 * lots[2])
    picture = _backdrop(keys[3], palette, texture, is_plain, config)
    # How many things are there varies, too: from a bare wall to a crowded desk.
    amount = config.clutter * (0.15 + 0.85 * lots[1]) * ~is_plain * (lots[3] > _EMPTY_SHARE)
    picture = _paint_things(keys[4], picture, texture, palette, amount, config)
    centres = (jnp.arange(size) + 0.5) * (drawn / size) - 0.5
    enlarging = 0.0 if drawn == size else 0.45
    sigma = jnp.hypot(blur * drawn, enlarging)
    widest = math.hypot(config.defocus * drawn, enlarging)
    return blur_and_sample(picture, centres, sigma, widest, step=drawn / size)


def natural_noise(
    key: PRNGKeyArray, size: int, slope: Float[Array, ""] | float = 1.0
) -> Float[Array, "size 3 size"]:
    """Noise of standard deviation about 1, mostly grey, whose octaves fade by exp(-slope) each.

    Interpolated noise has about equal energy per octave without fading, which is the amplitude
    spectrum 1 / f; a slope above 0 is smoother.
    """
    octaves = [cells for cells in _OCTAVES if cells <= size]
    bits = jax.random.bits(key, (), jnp.uint32)
    total, energy = jnp.zeros((size, 3, size)), 0.0
    for number, cells in enumerate(octaves):
        place = np.arange(cells * cells * 3, dtype=np.uint32).reshape(cells, cells, 3)
        place = place.swapaxes(1, 2) + np.uint32(number << 20)
        grid = hash_bits(hash_bits(place) ^ bits).astype(jnp.float32) / 2.0**32 - 0.5
        # Real textures are mostly grey: colour is the smaller part.
        grid = 0.15 * grid + 0.85 * grid[:, :1]
        matrix = interpolation_matrix(cells, size)
        strength = jnp.exp(-slope * number)
        rows = jnp.einsum("iy,ycx->icx", matrix, grid)
        total += strength * jnp.einsum("icx,jx->icj", rows, matrix)
        energy += strength**2
    # Bilinear interpolation of uniform numbers leaves a variance of about 1/27.
    return total * jnp.sqrt(27 / energy)


def _palette(key):
    """Four colours of one scene: mostly dull, some vivid, under one illuminant."""
    colour_key, tint_key = jax.random.split(key)
    value, saturation, hue, vivid = jax.random.uniform(colour_key, (4, 4))
    value = 0.04 + 0.96 * value**0.8
    # One in six is vivid, the others are greys, browns, off-whites: warm rather than green.
    saturation = jnp.where(vivid < 1 / 6, 0.4 + 0.6 * saturation, 0.3 * saturation**1.5)
    hue = jnp.where(vivid < 0.6, hue, 0.02 + 0.1 * hue)
    waves = jnp.clip(jnp.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    colours = value[:, None] * (1 - saturation[:, None] * (1 - waves))
    return jnp.clip(colours * sample_tints(tint_key, 1) ** 0.6, 0, 1)


def _axes(size):
    axis = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    return axis[None, :], axis[:, None]


def _backdrop(key, palette, texture, is_plain, config):
    """Texture in two colours, a gradient, and straight edges behind which light and colour jump."""
    x, y = _axes(texture.shape[0])
    uniform = jax.random.uniform(key, (6 + 6 * _NUM_EDGES,))
    contrast = config.clutter * 0.7 * uniform[0] ** 1.5 * ~is_plain
    # Leaves, grass, carpet: light and dark of one colour rather than two colours.
    one_hue = uniform[4] < 0.5
    palette = palette[..., None]
    second = jnp.where(one_hue, palette[0] * (0.25 + 0.5 * uniform[5]), palette[1])
    mix = jnp.clip(0.8 * uniform[1] + contrast * texture, -0.5, 1.5)
    picture = palette[0] + mix * (second - palette[0])
    for edge in range(_NUM_EDGES):
        angle, offset, lot, jump, soft, blend = uniform[6 + 6 * edge : 12 + 6 * edge]
        # Walls and tables: mostly level or upright, give or take a little.
        angle = (jnp.round(4 * angle) + 0.6 * (jump - 0.5)) * np.pi / 2
        side = (x - 0.5) * jnp.cos(angle) + (y - 0.5) * jnp.sin(angle) - 0.9 * (offset - 0.5)
        behind = jnp.clip(side / (0.004 + 0.04 * soft**3) + 0.5, 0, 1)[:, None]
        behind *= (lot < 0.45 * config.clutter) & ~is_plain
        colour = palette[2] if edge else palette[3]
        other = picture * (0.55 + 0.9 * jump)
        other += blend * (colour + 0.5 * contrast * texture - other)
        picture += behind * (other - picture)
    angle = 2 * np.pi * uniform[2]
    slope = config.clutter * 0.9 * uniform[3] ** 1.5
    light = 1 + slope * ((x - 0.5) * jnp.cos(angle) + (y - 0.5) * jnp.sin(angle))
    return jnp.clip(picture * light[:, None], 0, 1)


def _paint_things(key, picture, texture, palette, amount, config):
    number_key, colour_key, tone_key = jax.random.split(key, 3)
    numbers = jax.random.uniform(number_key, (_NUM_THINGS, _NUM_NUMBERS))
    palettes = jax.vmap(_palette)(jax.random.split(colour_key, -(-_NUM_THINGS // 4)))
    colours = palettes.reshape(-1, 3)[:_NUM_THINGS]
    # Half of the things share the scene's colours.
    shared = palette[(4 * numbers[:, 0]).astype(int)]
    colours = jnp.where(numbers[:, 1:2] < 0.5, shared, colours)
    tone = sample_tone(tone_key) * jnp.array([1, 0.88, 0.82])
    is_skin = numbers[:, 2] < config.skin_share
    colours = jnp.where(is_skin[:, None], tone * (0.5 + 0.5 * numbers[:, 1:2]), colours)

    angle = jnp.where(numbers[:, 6] < 0.6, 0.25 * (numbers[:, 6] / 0.6 - 0.5), numbers[:, 6] / 0.4)
    angles = np.pi * jnp.stack([angle, 2 * numbers[:, 15]], axis=1)
    # Before the loop, as compilers would work them out for each pixel.
    turns = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

    def paint(index, picture):
        return jax.lax.cond(
            numbers[index, 3] < amount,
            lambda picture: _paint_thing(
                picture,
                texture,
                numbers[index],
                turns[index],
                colours[index, :, None],
                is_skin[index],
            ),
            lambda picture: picture,
            picture,
        )

    return jax.lax.fori_loop(0, _NUM_THINGS, paint, picture)


def _paint_thing(picture, texture, numbers, turns, colour, is_skin):
    """One thing over the picture; (u, v) are its own coordinates.

    Args:
      numbers: uniform ones.
      turns: cosine and sine (rows) of the angles of the thing and of the light on it.
    """
    centre_x, centre_y, _, length, breadth, lean_u, lean_v, form, softness, face = numbers[4:14]
    (cos, cos_tilt), (sin, sin_tilt) = turns
    shade, _, pattern, rows, columns, ink, second, roundness, grain, seed = numbers[14:]
    x, y = _axes(picture.shape[0])
    x, y = x - (1.3 * centre_x - 0.15), y - (1.3 * centre_y - 0.15)
    half_length = 0.06 * jnp.exp(2.3 * length)
    # Skin is arms, fingers and faces: up to five times as long as broad.
    aspect = jnp.exp(-1.6 * breadth * jnp.where(is_skin, 1.0, 1.3))
    along = (x * cos + y * sin) / half_length
    across = (y * cos - x * sin) / (half_length * aspect)
    # A plane seen at a slant: a projective map, which turns rectangles into quadrilaterals.
    depth = jnp.maximum(1 + 0.35 * ((lean_u - 0.5) * along + (lean_v - 0.5) * across), 0.2)
    u, v = along / depth, across / depth

    is_round = (form < 0.45) | is_skin
    radius = jnp.sqrt(u * u + v * v + 1e-6)
    edge = jnp.where(is_round, radius, jnp.maximum(jnp.abs(u), jnp.abs(v)))
    width = (0.006 + 0.06 * softness**3) / (half_length * jnp.sqrt(aspect))
    coverage = jnp.clip((1 - edge) / width + 0.5, 0, 1)

    # Light: flat, or falling off towards the rim (balls, rods), and a second face (boxes).
    rim = jnp.where(
        roundness < 0.5, jnp.sqrt(jnp.maximum(1 - jnp.minimum(edge, 1) ** 2, 0)), 1 - v * v
    )
    rim_strength = jnp.where(is_skin | (roundness < 0.25), 0.55, 0.0)
    light = 1 - rim_strength * (1 - jnp.clip(rim, 0, 1))
    light *= 1 + 0.5 * shade * jnp.clip(u * cos_tilt + v * sin_tilt, -1.2, 1.2)
    light *= jnp.where((u > 2 * face - 1) & (face < 0.5) & ~is_round, 0.45 + second, 1)

    # Patterns on a grid of cells: stripes, tiles, or print (words of dark cells in lines).
    cell_u, cell_v = (u + 1) * (2 + 14 * columns), (v + 1) * (1 + 7 * rows)
    line = jnp.floor(cell_v)
    step = jnp.floor(cell_u).astype(jnp.int32) + 4096 * line.astype(jnp.int32)
    bits = hash_bits(step.astype(jnp.uint32) + (seed * 2.0**24).astype(jnp.uint32))
    is_dark = (bits & 0xFF) < 150
    in_line = cell_v - line < 0.55
    marks = jnp.where(
        pattern < 0.18,
        in_line,
        jnp.where(pattern < 0.3, (step + (step >> 12)) & 1 == 0, in_line & is_dark),
    )
    marked = marks * (pattern < jnp.where(is_round, 0.18, 0.5)) * ~is_skin
    mark_light = jnp.where(ink < 0.7, 0.3, 1.7)
    light *= 1 + marked * (mark_light - 1)
    grain = 0.35 * grain**2 * jnp.where(is_skin, 0.3, 1.0)
    painted = jnp.clip(colour * light[:, None] + grain * texture * colour, 0, 1)
    return picture + coverage[:, None] * (painted - picture)
