"""Whole pictures with any number of hands, for learning to find them. Pure and jit-able.

Cut-outs of hands, faces and arms (`render.cutouts`) are pasted over a background, mirrored (which
makes left hands of right ones), turned, scaled, one behind the other, and a camera takes the
picture. Rendering a hand costs more than pasting it many times.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from i2uv_jax.config import SceneConfig, SensorConfig
from i2uv_jax.imaging.crop import FILL
from i2uv_jax.ops.each_picture import each_picture
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.cutouts import (
    COLOURS,
    COVERAGE,
    HAND,
    NUM_DIRECTIONS,
    Cutouts,
    bounding_box,
    look_up,
)
from i2uv_jax.render.sensor import apply_sensor
from i2uv_jax.render.shading import sample_tints
from i2uv_jax.types import SceneBatch

_NUM_BYSTANDERS = 2
_IN_FRONT_SHARE = 0.2
"""Of bystanders: those that stand before hands and not behind all of them."""
_ARM_LENGTH = 2.0
"""How far beyond its cut-out an arm or a body goes on at most, in sides of the square."""
_NARROWEST = 0.5
"""Least share of the square that is not bars."""
_BAR_GREY = np.float32(FILL[0] / 255)
_BORDER = 0.03
"""How near to the picture's edge a hand's middle may lie."""


@struct.dataclass
class ScenePool:
    """What scenes are made of."""

    things: Cutouts
    """Hands, then bystanders."""
    backgrounds: UInt8[Array, "n h h 3"]
    """sRGB, of the scenes' size."""
    num_hands: int = struct.field(pytree_node=False)


class _Layers(NamedTuple):
    """Things to paste, hands first and then bystanders; every field has one entry for each."""

    is_there: Bool[Array, "l"]
    priority: Float[Array, "l"]
    """The lowest is pasted first."""
    index: Int[Array, "l"]
    """Which cut-out."""
    mirrored: Bool[Array, "l"]
    turn: Int[Array, "l"]
    """Steps of a circle's 32nd part."""
    scale: Float[Array, "l"]
    """Sides of the picture that a cut-out's square takes."""
    box_middle: Float[Array, "l 2"]
    """Of the turned cut-out, from its square's middle, in sides of the square."""
    centre: Float[Array, "l 2"]
    """Where that comes to lie, in picture coordinates."""
    side: Float[Array, "l"]
    reach: Float[Array, "l"]
    gain: Float[Array, "l 3"]


def sample_scenes(
    key: Array,
    pool: ScenePool,
    config: SceneConfig,
    sensor: SensorConfig,
    batch_size: int,
) -> SceneBatch:
    """`batch_size` random scenes of a pool's hands; the key decides everything."""
    keys = jax.random.split(hash_key(key), batch_size)
    # One after the other: each scene then pastes only as many things as it has.
    scenes, is_bar = jax.lax.map(lambda one_key: _sample_scene(one_key, pool, config), keys)
    sensor_keys = jax.vmap(lambda one_key: jax.random.fold_in(one_key, 1))(keys)
    taken = each_picture(
        lambda one_key, image: apply_sensor(one_key, image, sensor), sensor_keys, scenes.image
    )
    return scenes.replace(image=jnp.where(is_bar[..., None], _BAR_GREY, taken))


def mirror_scenes(batch: SceneBatch) -> SceneBatch:
    """The same scenes in a mirror: left hands become right ones."""
    flip, shift = jnp.array([-1.0, 1.0]), jnp.array([1.0, 0.0])
    return batch.replace(
        image=batch.image[:, :, ::-1],
        centre=batch.centre * flip + shift,
        is_left=~batch.is_left,
        keypoints_2d=batch.keypoints_2d * flip + shift,
    )


def _sample_scene(
    key: PRNGKeyArray, pool: ScenePool, config: SceneConfig
) -> tuple[SceneBatch, Bool[Array, "h h"]]:
    """One scene (no leading axis) before a camera took it, and where bars will cover it."""
    layer_key, background_key, bar_key = jax.random.split(key, 3)
    extent = _sample_extent(bar_key, config)
    layers = _sample_layers(layer_key, pool, config, extent)
    num_hands = len(config.hand_weights) - 1
    size = pool.backgrounds.shape[1]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)

    def paste(rank: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        image, owner = state
        number = order[rank]
        layer = jax.tree.map(lambda leaf: leaf[number], layers)
        shrinking = pool.things.size / (layer.scale * size)
        points = _to_cutout(layer, grid)
        found = look_up(pool.things, layer.index, points, shrinking, layer.reach)
        cover = found[:, COVERAGE, None]
        image = image * (1 - cover) + found[:, COLOURS] * layer.gain
        is_hand, is_other = found[:, HAND] > 0.5, found[:, COVERAGE] > 0.5
        owner = jnp.where(is_hand, number, jnp.where(is_other, -1, owner))
        return image, owner

    order = jnp.argsort(jnp.where(layers.is_there, layers.priority, jnp.inf))
    background = _background(background_key, pool.backgrounds)
    image, owner = jax.lax.fori_loop(
        0,
        layers.is_there.sum(),
        paste,
        (background.reshape(-1, 3), jnp.full(len(grid), -1)),
    )
    is_bar = jnp.any(jnp.abs(grid - 0.5) > extent / 2, axis=-1)
    owner = jnp.where(is_bar, -1, owner)
    hands = jax.tree.map(lambda leaf: leaf[:num_hands], layers)
    seen = (owner == np.arange(num_hands)[:, None]).sum(axis=1)
    whole = pool.things.hand_area[hands.index] * (hands.scale * size) ** 2
    is_shown = hands.is_there & (seen >= config.min_visible * whole)
    keypoints = jax.vmap(_to_picture)(hands, pool.things.keypoints[hands.index])
    scene = SceneBatch(
        image=jnp.clip(image, 0, 1).reshape(size, size, 3),
        centre=hands.centre,
        side=hands.side,
        is_left=hands.mirrored,
        is_shown=is_shown,
        is_doubtful=hands.is_there & ~is_shown & (seen > 0),
        keypoints_2d=keypoints,
    )
    return scene, is_bar.reshape(size, size)


def _sample_extent(key: PRNGKeyArray, config: SceneConfig) -> Float[Array, "2"]:
    """Width and height of what is not bars."""
    lot, upright, narrow = jax.random.uniform(key, (3,))
    shorter = jnp.where(lot < config.bar_share, 1 - (1 - _NARROWEST) * narrow, 1.0)
    return jnp.where(upright < 0.5, jnp.stack([shorter, 1.0]), jnp.stack([1.0, shorter]))


def _sample_layers(
    key: PRNGKeyArray, pool: ScenePool, config: SceneConfig, extent: Float[Array, "2"]
) -> _Layers:
    keys = jax.random.split(key, 4)
    num_hands = len(config.hand_weights) - 1
    count = num_hands + _NUM_BYSTANDERS
    scene_lot, size_lot, *_ = jax.random.uniform(keys[0], (3,))
    lots = jax.random.uniform(keys[1], (16, count))
    normal = jax.random.normal(keys[2], (5, count))
    is_hand = np.arange(count) < num_hands

    is_close = scene_lot < config.close_share
    chances = np.cumsum(config.hand_weights) / np.sum(config.hand_weights)
    number = jnp.where(is_close, 1, jnp.searchsorted(jnp.asarray(chances), lots[0, 0]))
    is_there = jnp.where(is_hand, np.arange(count) < number, lots[1] < config.bystander_share)
    low, high = (
        jnp.where(is_close, np.log(near), np.log(far))
        for near, far in zip(config.close_sides, config.sides, strict=True)
    )
    # Hands of one picture are mostly about as far away as each other.
    side = jnp.exp(jnp.clip(low + size_lot * (high - low) + 0.3 * normal[0], low, high))
    # A head is about as high as a hand is long, and often nearer to the camera or alone.
    side = jnp.where(is_hand, side, jnp.minimum(side[0] * jnp.exp(0.5 + 0.6 * normal[0]), 1.2))

    mirrored = lots[2] < 0.5
    turn = jnp.round(jnp.where(is_hand, 2.5, 0.8) * normal[1]).astype(int) % NUM_DIRECTIONS
    num_things = len(pool.things.pixels)
    first = np.where(is_hand, 0, pool.num_hands)
    last = np.where(is_hand, pool.num_hands, num_things)
    index = jnp.minimum((first + lots[3] * (last - first)).astype(int), last - 1)
    box = jax.vmap(bounding_box)(pool.things.extents[index], turn, mirrored)
    longer = jnp.max(box[:, 2:] - box[:, :2], axis=-1)

    centre = lots[4:6].T
    centre = jnp.where(is_close, 0.5 + 0.11 * normal[2:4].T, centre)
    # Beside the hand before: overlapping it or a little apart.
    beside = centre[0] + (2 * lots[6:8].T - 1) * side[0]
    is_beside = (lots[8] < config.touching_share) & (np.arange(count) > 0)
    centre = jnp.where(is_beside[:, None], beside, centre)
    centre = jnp.clip(centre, _BORDER, 1 - _BORDER)
    centre = 0.5 + (centre - 0.5) * extent

    in_front = is_hand | (lots[9] < _IN_FRONT_SHARE)
    light = jnp.exp(0.2 * normal[4])[:, None] * sample_tints(keys[3], count) ** 0.5
    return _Layers(
        is_there=is_there,
        priority=lots[10] + in_front,
        index=index,
        mirrored=mirrored,
        turn=turn,
        scale=side / longer,
        box_middle=(box[:, 2:] + box[:, :2]) / 2,
        centre=centre,
        side=side,
        reach=_ARM_LENGTH * jnp.sqrt(lots[11]),
        gain=light,
    )


def _rotation(turn: Int[Array, ""]) -> Float[Array, "2 2"]:
    angle = (2 * np.pi / NUM_DIRECTIONS) * turn
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, -sin], [sin, cos]])


def _to_cutout(layer: _Layers, points: Float[Array, "n 2"]) -> Float[Array, "n 2"]:
    """From picture coordinates to the square of one layer's cut-out; the inverse of the next."""
    turned = (points - layer.centre) / layer.scale + layer.box_middle
    # Multiplying row vectors by a rotation applies its inverse.
    upright = jnp.dot(turned, _rotation(layer.turn), precision="highest")
    mirror = jnp.where(layer.mirrored, -1.0, 1.0)
    return upright * jnp.stack([mirror, 1.0]) + 0.5


def _to_picture(layer: _Layers, points: Float[Array, "n 2"]) -> Float[Array, "n 2"]:
    mirror = jnp.where(layer.mirrored, -1.0, 1.0)
    turned = jnp.dot(
        (points - 0.5) * jnp.stack([mirror, 1.0]), _rotation(layer.turn).T, precision="highest"
    )
    return (turned - layer.box_middle) * layer.scale + layer.centre


def _background(key: PRNGKeyArray, backgrounds: UInt8[Array, "n h h 3"]) -> Float[Array, "h h 3"]:
    """One of the pool, mirrored and in other light."""
    index_key, lot_key, tint_key = jax.random.split(key, 3)
    picture = backgrounds[jax.random.randint(index_key, (), 0, len(backgrounds))]
    mirror, light = jax.random.uniform(lot_key, (2,))
    picture = picture.astype(jnp.float32) / 255
    picture = jnp.where(mirror < 0.5, picture[:, ::-1], picture)
    return picture * (0.75 + 0.5 * light) * sample_tints(tint_key, 1)[0] ** 0.3
