"""Hands, faces and arms cut out of their pictures, to be pasted into others. Pure and jit-able.

A cut-out is a square of colours and coverage. Its pixels are kept at several sizes, so that it can
be shrunk far without aliasing. What touches the square's edge (a forearm, a neck) goes on beyond it
along one direction: a pasted hand needs an arm that leaves the picture or ends, not one with a
straight cut.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, UInt8

from i2uv_jax.config import RenderConfig
from i2uv_jax.geometry.camera import project
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.hand.asset import Hand
from i2uv_jax.ops.each_picture import each_picture
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.assets import RenderAssets
from i2uv_jax.render.colour import linear_to_srgb
from i2uv_jax.render.people import draw_bystander
from i2uv_jax.render.scene import draw_hands

NUM_LEVELS = 3
"""Sizes at which pixels are kept, each half of the one before."""

NUM_DIRECTIONS = 32
"""Directions in which a hand's extent is known, so that turns by steps of a circle's 32nd part have
an exact bounding box."""

COLOURS, COVERAGE, HAND = slice(0, 3), 3, 4
"""Channels of a cut-out's pixels: sRGB times coverage, coverage, and what of it is hand."""


@struct.dataclass
class Cutouts:
    """Things to paste; coordinates span a cut-out's square from 0 to 1, x right and y down."""

    pixels: UInt8[Array, "n p 5"]
    """All levels one after the other, row by row: the largest has `size` x `size` pixels."""
    extents: Float[Array, "n 32"]
    """Farthest that the hand reaches from (0.5, 0.5) in each direction, from +x on towards +y."""
    keypoints: Float[Array, "n 21 2"]
    hand_area: Float[Array, "n"]
    """Share of the square that shows hand."""
    outward: Float[Array, "n 2"]
    """Unit vector along which what touches the edge goes on."""
    size: int = struct.field(pytree_node=False)


def sample_hand_cutouts(
    key: Array, hand: Hand, config: RenderConfig, count: int, assets: RenderAssets
) -> Cutouts:
    """Renders `count` random right hands with forearms and what they hold."""
    placing_key, colour_key = jax.random.split(hash_key(key))
    placed, picture = draw_hands(
        jax.random.split(placing_key, count),
        jax.random.split(colour_key, count),
        hand,
        config,
        assets,
    )
    plane = project(placed.camera, placed.vertices_m[:, : hand.num_vertices]) - 0.5
    extents = jnp.einsum("bvi,di->bdv", plane, _directions(), precision="highest").max(axis=-1)
    keypoints = project(placed.camera, placed.keypoints_m)
    colours = jnp.clip(linear_to_srgb(picture.colour), 0, 1)
    mask = picture.hand_mask[..., None]
    pixels = jnp.concatenate([colours, picture.coverage, mask], axis=-1)
    outward = jax.vmap(_outward)(pixels, keypoints[:, WRIST])
    return Cutouts(
        pixels=_levels(pixels),
        extents=extents,
        keypoints=keypoints,
        hand_area=picture.hand_mask.mean(axis=(1, 2)),
        outward=outward,
        size=config.image_size,
    )


def sample_bystander_cutouts(key: Array, size: int, count: int) -> Cutouts:
    """Draws faces, arms and blobs, which are no hands however much they look like skin."""

    def draw(one_key: Array) -> tuple[Array, Array]:
        return draw_bystander(one_key, size)

    painted, outward = each_picture(draw, jax.random.split(hash_key(key), count))
    pixels = jnp.concatenate([painted, jnp.zeros_like(painted[..., :1])], axis=-1)
    return Cutouts(
        pixels=_levels(pixels),
        extents=jnp.full((count, NUM_DIRECTIONS), 0.5),
        keypoints=jnp.zeros((count, 21, 2)),
        hand_area=jnp.zeros(count),
        outward=outward,
        size=size,
    )


def bounding_box(
    extents: Float[Array, "32"], turn: Int[Array, ""], mirrored: Bool[Array, ""]
) -> Float[Array, "4"]:
    """Left, top, right and bottom of a hand about its cut-out's middle, mirrored, then turned.

    Args:
      turn: steps of a circle's 32nd part, from x towards y.
    """
    # Farthest in direction k after the turn is farthest in k - turn before it; a mirror in x takes
    # the angle a to half a circle minus a.
    before = np.array([NUM_DIRECTIONS // 2, 3 * NUM_DIRECTIONS // 4, 0, NUM_DIRECTIONS // 4]) - turn
    before = jnp.where(mirrored, NUM_DIRECTIONS // 2 - before, before) % NUM_DIRECTIONS
    return extents[before] * np.array([-1, -1, 1, 1])


def look_up(
    cutouts: Cutouts,
    index: Int[Array, ""],
    points: Float[Array, "n 2"],
    shrinking: Float[Array, ""],
    reach: Float[Array, ""],
) -> Float[Array, "n 5"]:
    """One cut-out's channels (0 to 1) at points of its square and beyond; nothing covers the rest.

    Args:
      shrinking: the cut-out's pixels per pixel of the picture that asks.
      reach: how far beyond the edge things go on, in sides of the square.
    """
    direction = cutouts.outward[index]
    beyond = jnp.where(
        direction > 0, jnp.maximum(points - 1, 0), jnp.minimum(points, 0)
    ) / jnp.where(jnp.abs(direction) > 1e-3, direction, 1e-3)
    distance = jnp.maximum(jnp.max(beyond, axis=-1), 0)
    points = points - distance[:, None] * direction
    there = jnp.all(jnp.abs(points - 0.5) <= 0.5 + 1e-5, axis=-1) & (distance <= reach)

    level = jnp.clip(jnp.round(jnp.log2(shrinking)), 0, NUM_LEVELS - 1).astype(int)
    sizes = cutouts.size >> np.arange(NUM_LEVELS)
    first = np.cumsum(sizes**2) - sizes**2
    width = jnp.asarray(sizes)[level]
    position = jnp.clip(points * width - 0.5, 0, width - 1)
    cell = jnp.minimum(position.astype(int), width - 2)
    x, y = jnp.split(position - cell, 2, axis=-1)
    corner = jnp.asarray(first)[level] + cell[:, 1] * width + cell[:, 0]
    pixels = cutouts.pixels[index]

    def at(offset: Int[Array, ""] | int) -> Array:
        rows = pixels.at[corner + offset].get(mode="promise_in_bounds")
        return rows.astype(jnp.float32)

    upper = at(0) * (1 - x) + at(1) * x
    lower = at(width) * (1 - x) + at(width + 1) * x
    return (upper * (1 - y) + lower * y) * (there / 255)[:, None]


def _directions() -> Float[np.ndarray, "32 2"]:
    angle = 2 * np.pi * np.arange(NUM_DIRECTIONS) / NUM_DIRECTIONS
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def _levels(pixels: Float[Array, "n s s c"]) -> UInt8[Array, "n p c"]:
    """Bytes of all sizes; colours are weighted, so that no uncovered one bleeds in."""
    count, size, _, channels = pixels.shape
    alpha = pixels[..., COVERAGE, None]
    level = jnp.concatenate([pixels[..., COLOURS] * alpha, pixels[..., COVERAGE:]], axis=-1)
    levels = [level]
    for number in range(1, NUM_LEVELS):
        half = size >> number
        level = level.reshape(count, half, 2, half, 2, channels).mean(axis=(2, 4))
        levels.append(level)
    flat = [level.reshape(count, -1, channels) for level in levels]
    return jnp.round(255 * jnp.concatenate(flat, axis=1)).astype(jnp.uint8)


def _outward(pixels: Float[Array, "s s 5"], wrist: Float[Array, "2"]) -> Float[Array, "2"]:
    """From the wrist to the middle of the forearm's cut at the square's edge."""
    size = len(pixels)
    is_edge = np.ones((size, size), np.float32)
    is_edge[1:-1, 1:-1] = 0
    weight = is_edge * jnp.maximum(pixels[..., COVERAGE] - pixels[..., HAND], 0)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    middle = jnp.stack([(weight * axis).sum(), (weight * axis[:, None]).sum()])
    total = weight.sum()
    along = middle / jnp.maximum(total, 1e-6) - wrist
    along = jnp.where(total > 0, along, jnp.array([0.0, 1.0]))
    return along / jnp.maximum(jnp.linalg.norm(along), 1e-3)
