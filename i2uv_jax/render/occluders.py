"""Things that hide parts of a hand: in front of it, in its grasp, and another hand's fingers.

Each thing is a superellipsoid (Barr 1981): one grid of triangles that two exponents turn into a
ball, a can, a pen, a box or a card. So the triangles are the same in every picture, which is what
the rasteriser wants; a thing that is absent lies in one point behind the camera and is skipped.
Pure, jit-able, vmap-able.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from i2uv_jax.config import OcclusionConfig
from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.render.colour import srgb_to_linear
from i2uv_jax.render.monk_scale import sample_tone
from i2uv_jax.render.occlusion import thing_capsule
from i2uv_jax.render.view import uniform_rotation

_SEGMENTS, _RING_LATITUDES = 16, np.deg2rad([-75, -45, 0, 45, 75])
"""Multiples of 22.5 degrees around, so that boxes get their corners."""
_NUM_FINGERS = 3
_SHARP, _ROUND = 0.1, 1.0
"""Exponents of a superellipsoid's edges."""
_FINGER_FLESH_M, _PALM_FLESH_M = 0.009, 0.013
"""From bones to skin."""
_MIN_GRASP_M = 0.004
"""Radius under which a hand counts as too closed to hold anything."""
_MAX_GRASP_M = 0.045
_HAND_LENGTH_M = 0.19


@struct.dataclass
class Occluders:
    """Everything that may hide the hand, absent things included, over `OCCLUDER_FACES`."""

    vertices_m: Float[Array, "*b n 3"]
    """Camera frame."""
    albedo: Float[Array, "*b n 3"]
    """Linear RGB."""
    capsules: tuple[Float[Array, "*b t 3"], Float[Array, "*b t 3"], Float[Array, "*b t"]]
    """Start, end and radius (metres) of what stands in for each thing where it takes light away."""
    present: Bool[Array, "*b t"]


class _Grid:
    """Longitude and latitude of a superellipsoid's vertices, rings first, then the two poles."""

    def __init__(self) -> None:
        rings = len(_RING_LATITUDES)
        self.longitude = np.tile(2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS, rings)
        self.longitude = np.append(self.longitude, [0, 0]).astype(np.float32)
        poles = [-np.pi / 2, np.pi / 2]
        self.latitude = np.append(np.repeat(_RING_LATITUDES, _SEGMENTS), poles).astype(np.float32)
        self.num_vertices = len(self.latitude)
        ring, place = np.mgrid[: rings - 1, :_SEGMENTS]
        here, beside = ring * _SEGMENTS + place, ring * _SEGMENTS + (place + 1) % _SEGMENTS
        above, above_beside = here + _SEGMENTS, beside + _SEGMENTS
        south, north = rings * _SEGMENTS, rings * _SEGMENTS + 1
        bottom, top = np.arange(_SEGMENTS), (rings - 1) * _SEGMENTS + np.arange(_SEGMENTS)
        parts = [
            np.stack([here, beside, above_beside], -1).reshape(-1, 3),
            np.stack([here, above_beside, above], -1).reshape(-1, 3),
            np.stack([np.roll(bottom, -1), bottom, np.full(_SEGMENTS, south)], -1),
            np.stack([top, np.roll(top, -1), np.full(_SEGMENTS, north)], -1),
        ]
        self.faces = np.concatenate(parts).astype(np.int32)


_GRID = _Grid()
_NUM_THINGS = 2 + _NUM_FINGERS

OCCLUDER_FACES: Int[np.ndarray, "f 3"] = np.concatenate(
    [_GRID.faces + thing * _GRID.num_vertices for thing in range(_NUM_THINGS)]
)
"""Triangles of all things, counter-clockwise seen from outside."""
NUM_OCCLUDER_VERTICES = _NUM_THINGS * _GRID.num_vertices


def sample_occluders(
    key: PRNGKeyArray,
    keypoints_m: Float[Array, "21 3"],
    config: OcclusionConfig | None = None,
) -> Occluders:
    """Random things before and in one hand.

    Args:
      keypoints_m: of a right hand, camera frame.
      config: the share of pictures that gets each kind.
    """
    config = OcclusionConfig() if config is None else config
    lot_key, front_key, grasp_key, finger_key, colour_key = jax.random.split(key, 5)
    keypoints_m = jnp.asarray(keypoints_m)
    lots = jax.random.uniform(lot_key, (3,))
    front = _front_thing(front_key, keypoints_m)
    grasped, fits = sample_grasped(grasp_key, keypoints_m)
    fingers = _other_fingers(finger_key, keypoints_m)
    things = [front, grasped, *fingers]
    present = jnp.stack(
        [lots[0] < config.front_share, (lots[1] < config.grasp_share) & fits]
        + [lots[2] < config.limb_share] * _NUM_FINGERS
    )
    vertices = jnp.stack([_surface(*thing) for thing in things])
    hidden = jnp.array([0.0, 0.0, -1.0])
    vertices = jnp.where(present[:, None, None], vertices, hidden)
    capsules = [thing_capsule(thing.centre_m, thing.axes, thing.extents_m) for thing in things]
    return Occluders(
        vertices_m=vertices.reshape(-1, 3),
        albedo=_colours(colour_key).reshape(-1, 3),
        capsules=tuple(jnp.stack(part) for part in zip(*capsules, strict=True)),
        present=present,
    )


class _Thing(NamedTuple):
    """A superellipsoid: centre, axes (rows, the third is that of a can), half extents, edges."""

    centre_m: Float[Array, "3"]
    axes: Float[Array, "3 3"]
    extents_m: Float[Array, "3"]
    end_edge: Float[Array, ""]
    """Exponent of the profile: `_SHARP` gives flat ends."""
    side_edge: Float[Array, ""]
    """Exponent of the cross section: `_SHARP` gives a rectangle."""


def sample_grasped(
    key: PRNGKeyArray, keypoints_m: Float[Array, "21 3"]
) -> tuple[_Thing, Bool[Array, ""]]:
    """A thing in the hand and whether the hand leaves room for one.

    It stands in the loop that palm and fingers form (before the palm of an open hand), across the
    palm, as thick as the bones around it allow: the roomiest of a grid of places before the
    knuckles.
    """
    (kind, tilt, slide, thick, length, breadth, spin, *noise) = jax.random.uniform(key, (10,))
    wrist, knuckles = keypoints_m[0], keypoints_m[jnp.array([5, 9, 13, 17])]
    across = normalize(knuckles[3] - knuckles[0])
    along = knuckles[1] - wrist
    along = normalize(along - jnp.dot(along, across) * across)
    palmward = jnp.cross(along, across)
    # Handles lie obliquely in the palm: from the index finger's base to the heel of the hand.
    angle = jnp.deg2rad(50) * (tilt - 0.5)
    axis = jnp.cos(angle) * across + jnp.sin(angle) * along

    fingers = keypoints_m[1:].reshape(5, 4, 3)
    bones = jnp.concatenate([fingers, (fingers[:, 1:] + fingers[:, :-1]) / 2], axis=1)
    palm = jnp.concatenate([wrist + share * (knuckles - wrist) for share in (0.4, 0.7, 1.0)])
    obstacles = jnp.concatenate([bones.reshape(-1, 3), palm])
    flesh = jnp.array([_FINGER_FLESH_M] * 35 + [_PALM_FLESH_M] * 12)

    is_ball, is_box, is_card, is_pen = (
        (low <= kind) & (kind < high)
        for low, high in ((0.4, 0.58), (0.58, 0.72), (0.72, 0.84), (0.84, 1.0))
    )
    height, offset = np.meshgrid(np.linspace(0.01, 0.055, 8), [0.0, 0.015, -0.015, 0.03, -0.03])
    height, offset = height.reshape(-1, 1), offset.reshape(-1, 1)
    centres = knuckles.mean(axis=0) + height * palmward + offset * along
    # Within the loop is on the palm's side of every bone from the wrist to the middle finger's tip.
    chain = jnp.concatenate([wrist[None], fingers[2]])
    inward = jnp.cross(chain[1:] - chain[:-1], across)
    is_within = jnp.all(jnp.sum((centres[:, None] - chain[1:]) * inward, axis=-1) > 0, axis=1)
    gap = obstacles - centres[:, None]
    along_axis = jnp.where(is_ball, 0.0, gap @ axis)
    distance = jnp.linalg.norm(gap - along_axis[..., None] * axis, axis=-1)
    room = jnp.where(is_within, jnp.min(distance - flesh, axis=1), 0)
    room = jnp.minimum(room, _MAX_GRASP_M)
    # Near the palm rather than far from it, where room has no end: within the loop of fingers.
    best = jnp.argmax(jnp.where(is_within, room - 0.5 * height[:, 0], -1))
    radius = room[best] * (0.9 + 0.2 * thick)
    fits = room[best] > _MIN_GRASP_M
    radius = jnp.maximum(radius, _MIN_GRASP_M)
    radius = jnp.where(is_pen, jnp.minimum(radius, 0.004 + 0.008 * breadth), radius)

    half_length = jnp.where(is_ball, radius, 0.035 + 0.08 * length)
    side = jnp.where(is_ball, 0.0, half_length * (slide - 0.5))
    other = jnp.cross(axis, palmward)
    # Boxes fill the loop to their corners; a card is as broad as a phone and thin.
    box_radius = radius * 0.75
    extents = jnp.stack([radius, radius, half_length])
    extents = jnp.where(is_box, jnp.stack([box_radius, box_radius, half_length]), extents)
    card = jnp.stack([jnp.minimum(radius, 0.005), 0.03 + 0.02 * breadth, 0.055 + 0.025 * length])
    extents = jnp.where(is_card, card, extents)
    turn = jnp.where(is_box, np.pi * (spin - 0.5), 0.0)
    axes = jnp.stack(
        [
            jnp.cos(turn) * palmward + jnp.sin(turn) * other,
            jnp.cos(turn) * other - jnp.sin(turn) * palmward,
            axis,
        ]
    )
    thing = _Thing(
        centre_m=centres[best] + side * axis,
        axes=axes,
        extents_m=extents,
        end_edge=jnp.where(is_ball, _ROUND, _SHARP),
        side_edge=jnp.where(is_box | is_card, _SHARP, _ROUND),
    )
    pen = _pinched_pen(keypoints_m, radius, jnp.stack(noise))
    pinches = jnp.linalg.norm(keypoints_m[4] - keypoints_m[8]) < 0.03
    use_pen = is_pen & pinches
    thing = jax.tree.map(lambda first, second: jnp.where(use_pen, first, second), pen, thing)
    return thing, fits | use_pen


def _pinched_pen(keypoints_m, radius, noise):
    """A pen between the tips of thumb and index finger that rests before the index knuckle."""
    tips = (keypoints_m[4] + keypoints_m[8]) / 2
    rest = keypoints_m[5] + 0.04 * (noise - 0.5)
    axis = normalize(rest - tips)
    helper = normalize(keypoints_m[17] - keypoints_m[5] + 1e-4)
    first = normalize(jnp.cross(helper, axis))
    return _Thing(
        # A third of the pen lies before the finger tips.
        centre_m=tips + 0.03 * axis,
        axes=jnp.stack([first, jnp.cross(axis, first), axis]),
        extents_m=jnp.stack([0.8 * radius, 0.8 * radius, 0.07 + 0.0 * radius]),
        end_edge=jnp.float32(0.3),
        side_edge=jnp.float32(_ROUND),
    )


def _front_thing(key, keypoints_m):
    """A thing of any form between the camera and some part of the hand."""
    rotation_key, number_key = jax.random.split(key)
    which, depth, end, side, *sizes = jax.random.uniform(number_key, (10,))
    target = keypoints_m[(which * len(keypoints_m)).astype(int)]
    nearest = keypoints_m[:, 2].min()
    share = nearest / target[2] * (0.55 + 0.4 * depth)
    # Seen from the camera it is a sixth to two thirds of the hand's length.
    extents = share * _HAND_LENGTH_M * (0.04 + 0.28 * jnp.stack(sizes[:3]) ** 2)
    beside = share * _HAND_LENGTH_M * 0.25 * (jnp.stack(sizes[3:5]) - 0.5)
    return _Thing(
        centre_m=share * target + jnp.append(beside, 0.0),
        axes=uniform_rotation(rotation_key),
        extents_m=extents,
        end_edge=jnp.where(end < 0.6, _SHARP, _ROUND),
        side_edge=jnp.where(side < 0.4, _SHARP, _ROUND),
    )


def _other_fingers(key, keypoints_m):
    """Three fingers side by side, as of another hand that touches this one."""
    which, turn, lean, depth, reach, *curls = jax.random.uniform(key, (8,))
    target = keypoints_m[(which * len(keypoints_m)).astype(int)]
    angle, lean = 2 * np.pi * turn, lean - 0.5
    axis = normalize(jnp.stack([jnp.cos(angle), jnp.sin(angle), lean]))
    beside = normalize(jnp.stack([-jnp.sin(angle), jnp.cos(angle), 0.0]))
    axes = jnp.stack([beside, jnp.cross(axis, beside), axis])
    nearest = keypoints_m[:, 2].min()
    # From lying on the hand to held somewhat nearer to the camera.
    share = 1 - depth * (1 - 0.85 * nearest / target[2])
    centre = share * target - jnp.array([0, 0, 0.02]) + 0.03 * (reach + 0.4) * axis
    radius = jnp.float32(0.0085)
    return [
        _Thing(
            centre_m=centre + 0.018 * number * beside + 0.015 * (curl - 0.5) * axis,
            axes=axes,
            extents_m=jnp.stack([radius, radius, 0.04 + 0.0 * radius]),
            end_edge=jnp.float32(0.45),
            side_edge=jnp.float32(_ROUND),
        )
        for number, curl in zip((-1, 0, 1), curls, strict=True)
    ]


def _surface(centre_m, axes, extents_m, end_edge, side_edge):
    """Vertices (n, 3) of one thing."""

    def power(value, exponent):
        # The floor keeps the logarithm finite; signs are put back.
        return jnp.sign(value) * jnp.exp(exponent * jnp.log(jnp.abs(value) + 1e-6))

    latitude, longitude = jnp.asarray(_GRID.latitude), jnp.asarray(_GRID.longitude)
    around = power(jnp.cos(latitude), end_edge)
    unit = jnp.stack(
        [
            around * power(jnp.cos(longitude), side_edge),
            around * power(jnp.sin(longitude), side_edge),
            power(jnp.sin(latitude), end_edge),
        ],
        axis=-1,
    )
    return (unit * extents_m) @ axes + centre_m


def _colours(key):
    """Albedo (things, n, 3): one colour each, most with a band or panel of a second, as labels."""
    colour_key, tone_key, panel_key = jax.random.split(key, 3)
    colours = jax.random.uniform(colour_key, (2, 2, 3))
    # Half of the things are nearly grey, white or black.
    grey = colours.mean(axis=-1, keepdims=True)
    dull = jax.random.uniform(panel_key, (2, 2, 4))
    colours = jnp.where(dull[..., :1] < 0.5, grey + 0.15 * (colours - grey), colours)
    start, stop, kind = dull[:, 0, 1], dull[:, 0, 2], dull[:, 0, 3]
    latitude, longitude = jnp.asarray(_GRID.latitude), jnp.asarray(_GRID.longitude)
    band = jnp.abs(jnp.sin(latitude) - (start[:, None] - 0.5)) < 0.2 + 0.7 * stop[:, None]
    panel = jnp.cos(longitude - 2 * np.pi * start[:, None]) > stop[:, None]
    is_second = jnp.where(kind[:, None] < 0.4, band, panel & (kind[:, None] < 0.8))
    solid = srgb_to_linear(jnp.where(is_second[..., None], colours[:, 1:], colours[:, :1]))
    tone = srgb_to_linear(sample_tone(tone_key)) * jnp.array([1.0, 0.82, 0.76])
    skin = jnp.broadcast_to(tone, (_NUM_FINGERS, _GRID.num_vertices, 3))
    return jnp.concatenate([solid, skin])
