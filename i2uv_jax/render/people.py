"""Faces, bare arms and blobs of skin: what must not be taken for hands.

Pure, jit-able, vmap-able; ellipses in skin tones, cheap and rough. At the size at which such things
stand in a picture a face is its outline, its hair and dark spots where eyes and mouth are.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.render.draws import draw
from i2uv_jax.render.monk_scale import LAST_PLACE, SKIN_TONES_SRGB, tone_at
from i2uv_jax.render.skin_atlas import unpack

_FACE_SHARE = 0.65
_ARM_SHARE = 0.25
"""The rest are blobs."""

_DRAWN_SIDE = 64
"""Pixels of a thing that is painted over a picture of any size."""
_SMALLEST, _LARGEST = 0.5, 3.0
"""Of such a thing's square, in sides of the picture."""
_TURN = 0.3
"""Standard deviation of its turn, radians."""


def draw_bystander(
    key: PRNGKeyArray, size: int
) -> tuple[Float[Array, "size size 4"], Float[Array, "2"]]:
    """One thing: sRGB and coverage (0 to 1), and the unit vector along which it leaves its square.

    Faces leave with their neck and shoulders, downwards; arms along themselves.
    """
    colours, cover, leaving = _draw(_sample_numbers(key), size)
    return jnp.moveaxis(jnp.concatenate([colours, cover[None]]), 0, -1), leaving


def paint_bystander(
    key: PRNGKeyArray, picture: Float[Array, "size 3 size"], *, share: float
) -> Float[Array, "size 3 size"]:
    """The picture, and in a share of cases one thing over it, half to three times its size."""
    thing_key, lot_key, place_key, turn_key = jax.random.split(key, 4)
    # What is worked out before the choice is worked out once; within, compilers do it per pixel.
    numbers = _sample_numbers(thing_key)
    uniform = jax.random.uniform(place_key, (3,))
    angle = _TURN * jax.random.normal(turn_key)
    turn = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    return jax.lax.cond(
        jax.random.bernoulli(lot_key, share),
        lambda picture: _put_before(numbers, uniform, turn, picture),
        lambda picture: picture,
        picture,
    )


def _put_before(numbers, uniform, turn, picture):
    colours, cover, _ = _draw(numbers, _DRAWN_SIDE)
    side = _SMALLEST * (_LARGEST / _SMALLEST) ** uniform[0]
    x, y = _grid(picture.shape[0])
    x, y = x - (1.4 * uniform[1] - 0.2), y - (1.4 * uniform[2] - 0.2)
    across = (x * turn[0] + y * turn[1]) / side + 0.5
    down = (y * turn[0] - x * turn[1]) / side + 0.5
    # Times coverage, so that no colours bleed in from where nothing is.
    layers = [*(jnp.clip(colours, 0, 1) * cover), cover]
    *colours, cover = _sample_layers(layers, across, down)
    return picture * (1 - cover[:, None]) + jnp.stack(colours, axis=1)


def _sample_layers(
    layers: list[Float[Array, "s s"]], across: Float[Array, "h w"], down: Float[Array, "h w"]
) -> list[Float[Array, "h w"]]:
    """Four layers of a square (0 to 1) at places from 0 to 1; bilinear, 0 outside.

    They are looked up as the bytes of one word: CPUs pay for a gather by the number of elements.
    """
    word = sum(
        jnp.round(255 * layer).astype(jnp.uint32) << (8 * number)
        for number, layer in enumerate(layers)
    )
    # With a rim that is empty. It also keeps CPUs from drawing the thing anew for each gather, as
    # the barriers do with places.
    words = jnp.pad(word, 1)
    side = words.shape[0]
    place = jnp.clip((side - 2) * jnp.stack([down, across]) + 0.5, 0, side - 1)
    corner = jnp.minimum(place.astype(jnp.int32), side - 2)
    y, x = place - corner
    first = jax.lax.optimization_barrier(corner[0] * side + corner[1])
    texels = words.reshape(-1).at
    corners = jax.lax.optimization_barrier(
        [texels[first + step].get(mode="promise_in_bounds") for step in (0, 1, side, side + 1)]
    )
    planes = []
    for layer in zip(*map(unpack, corners), strict=True):
        top = layer[0] + x * (layer[1] - layer[0])
        bottom = layer[2] + x * (layer[3] - layer[2])
        planes.append(top + y * (bottom - top))
    return planes


def _tone(uniform: Float[Array, "4"]) -> Float[Array, "3"]:
    """A skin's colour under some light."""
    mixed = tone_at(jnp.asarray(SKIN_TONES_SRGB), LAST_PLACE * uniform[0])
    tint = jnp.array([1.0, 0.8 + 0.16 * uniform[1], 0.65 + 0.25 * uniform[2]])
    return jnp.clip(mixed * tint * (0.5 + 0.6 * uniform[3]), 0, 1)


def _grid(size: int) -> tuple[Float[np.ndarray, "1 s"], Float[np.ndarray, "s 1"]]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    return axis[None, :], axis[:, None]


def _inside(size, centre, radii, softness=0.06):
    """Coverage of an ellipse, and the squared distance from its middle in radii."""
    x, y = _grid(size)
    squared = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    return jnp.clip((1 - squared) / (2 * softness) + 0.5, 0, 1), squared


def _sample_numbers(key):
    """The random numbers of one thing: its kind's, those of a face, those of a limb or blob."""
    kind_key, face_key, limb_key = jax.random.split(key, 3)
    return jax.random.uniform(kind_key), draw(face_key, 20, 6), draw(limb_key, 10, 2)


def _draw(numbers, size):
    """Colours (3 s s), coverage (s s), and the unit vector of `draw_bystander`."""
    kind, face, limb = numbers
    return jax.lax.cond(
        kind < _FACE_SHARE,
        lambda: (*_face(*face, size), jnp.array([0.0, 1.0])),
        lambda: _limb(*limb, size, kind < _FACE_SHARE + _ARM_SHARE),
    )


def _paint(picture, cover, colour):
    """Lays a colour over colours (3 s s) and coverage (s s)."""
    colours, covered = picture
    return colours + cover * (colour - colours), covered + cover * (1 - covered)


def _face(uniform, normal, size):
    """Hair, neck and shoulders, head, eyes, brows, nose and mouth, seen from the front or aside."""
    tone = _tone(uniform[:4])[:, None, None]
    cloth = (uniform[4:7] * (0.3 + 0.7 * uniform[7]))[:, None, None]
    hair = jnp.where(uniform[8] < 0.75, 0.04 + 0.3 * uniform[9], 0.75 * uniform[9])
    hair = hair * np.array([1.0, 0.8, 0.6], np.float32)[:, None, None]
    width, height = 0.19 + 0.03 * normal[0], 0.27 + 0.02 * normal[1]
    x, y = 0.5 + 0.02 * normal[2], 0.42
    aside = 0.5 * width * jnp.clip(normal[3], -1.5, 1.5)  # features move, the head stays

    picture = jnp.zeros((3, size, size)), jnp.zeros((size, size))
    # Long hair hangs behind the neck; bald heads have a rim too thin to see.
    long = uniform[10] < 0.4
    grown = 1.0 + 0.3 * uniform[11] * (uniform[12] < 0.85)
    back, _ = _inside(size, (x, y + 0.12), (grown * width, 1.25 * height))
    picture = _paint(picture, back * long, hair)
    neck, _ = _inside(size, (x, 0.75), (0.55 * width, 0.3))
    picture = _paint(picture, neck, 0.75 * tone)
    shoulders, _ = _inside(size, (x, 1.05), (0.42 + 0.05 * normal[4], 0.28))
    picture = _paint(picture, shoulders, cloth)
    crown, _ = _inside(size, (x, y - 0.05), (1.05 * grown * width, grown * height))
    picture = _paint(picture, crown, hair)
    head, squared = _inside(size, (x, y), (width, height))
    columns, _ = _grid(size)
    light = 1 - 0.35 * jnp.minimum(squared, 1) ** 2 * uniform[13]
    light *= 1 + (1.2 * uniform[14] - 0.6) * (columns - x) / width * 0.6
    picture = _paint(picture, head, tone * light)
    for side in (-1, 1):
        eye = (x + aside + 0.42 * side * width, y - 0.12 * height)
        cover, _ = _inside(size, eye, (0.17 * width, 0.06 * height), 0.4)
        picture = _paint(picture, 0.9 * cover, 0.25 * tone)
        brow = (eye[0], y - 0.3 * height)
        cover, _ = _inside(size, brow, (0.25 * width, 0.04 * height), 0.4)
        picture = _paint(picture, 0.7 * cover, hair)
    nose, _ = _inside(size, (x + 1.3 * aside, y + 0.18 * height), (0.16 * width, 0.2 * height), 0.5)
    picture = _paint(picture, 0.3 * nose, 0.7 * tone)
    opened = 0.03 + 0.08 * uniform[15]
    mouth, _ = _inside(size, (x + aside, y + 0.5 * height), (0.35 * width, opened * height), 0.4)
    lips = tone * np.array([0.8, 0.45, 0.45], np.float32)[:, None, None]
    return _paint(picture, 0.85 * mouth, lips)


def _limb(uniform, normal, size, is_arm):
    """A cylinder of skin that reaches the square's edge on one side, or a ball that does not."""
    tone = _tone(uniform[:4])
    angle = 2 * np.pi * uniform[4]
    along = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    x, y = _grid(size)
    forward = (x - 0.5) * along[0] + (y - 0.5) * along[1]
    aside = (y - 0.5) * along[0] - (x - 0.5) * along[1]
    width = (0.09 + 0.09 * uniform[5]) * (1 + 0.5 * (uniform[6] - 0.5) * forward)
    start = -0.35 + 0.2 * uniform[7]
    round_end = jnp.hypot(jnp.minimum(forward - start, 0), aside)
    ball_radius = 0.3 + 0.06 * normal[0]
    stretch = 1 + 0.5 * uniform[8]
    ball = jnp.hypot(forward / stretch, aside)
    ratio = jnp.where(is_arm, round_end / width, ball / ball_radius)
    cover = jnp.clip((1 - ratio) * 12 + 0.5, 0, 1)
    light = jnp.sqrt(jnp.maximum(1 - 0.8 * jnp.minimum(ratio, 1) ** 2, 0))
    light *= 1 + 0.4 * (2 * uniform[9] - 1) * aside / width
    colours = jnp.clip(tone[:, None, None] * light, 0, 1)
    return colours, cover, along
