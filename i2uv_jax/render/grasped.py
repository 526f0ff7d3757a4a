"""What a hand holds: a thing in the loop of palm and fingers, or a pen between two finger tips.

Pure, jit-able, vmap-able.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.render.superellipsoid import ROUND, SHARP, Thing

_FINGER_FLESH_M, _PALM_FLESH_M = 0.009, 0.013
"""From bones to skin."""
_MIN_GRASP_M = 0.004
"""Radius under which a hand counts as too closed to hold anything."""
_MAX_GRASP_M = 0.045
_PINCH_M = 0.03
"""Thumb and index finger whose tips are nearer than this hold pens between them."""


class _Kind(NamedTuple):
    """What the thing is; a can or a handle where it is none of these."""

    is_ball: Bool[Array, ""]
    is_box: Bool[Array, ""]
    is_card: Bool[Array, ""]
    is_pen: Bool[Array, ""]


class _Palm(NamedTuple):
    """The palm's joints and unit vectors."""

    wrist: Float[Array, "3"]
    knuckles: Float[Array, "4 3"]
    across: Float[Array, "3"]
    """From the index finger's knuckle to the little finger's."""
    along: Float[Array, "3"]
    """Towards the fingers."""
    outward: Float[Array, "3"]
    """Away from the palm's skin, to where fingers bend."""


def sample_grasped(
    key: PRNGKeyArray, keypoints_m: Float[Array, "21 3"]
) -> tuple[Thing, Bool[Array, ""]]:
    """A thing in the hand and whether the hand leaves room for one.

    It stands in the loop that palm and fingers form (before the palm of an open hand), across the
    palm, as thick as the bones around it allow: the roomiest of a grid of places before the
    knuckles.
    """
    (lot, tilt, slide, thick, length, breadth, spin, *noise) = jax.random.uniform(key, (10,))
    kind, palm = _kind_of(lot), _palm_of(keypoints_m)
    # Handles lie obliquely in the palm: from the index finger's base to the heel of the hand.
    angle = jnp.deg2rad(50) * (tilt - 0.5)
    axis = jnp.cos(angle) * palm.across + jnp.sin(angle) * palm.along
    centre, room = _roomiest_place(keypoints_m, palm, axis, kind.is_ball)
    fits = room > _MIN_GRASP_M
    radius = jnp.maximum(room * (0.9 + 0.2 * thick), _MIN_GRASP_M)
    radius = jnp.where(kind.is_pen, jnp.minimum(radius, 0.004 + 0.008 * breadth), radius)

    half_length = jnp.where(kind.is_ball, radius, 0.035 + 0.08 * length)
    side = jnp.where(kind.is_ball, 0.0, half_length * (slide - 0.5))
    thing = Thing(
        centre_m=centre + side * axis,
        axes=_axes(axis, palm.outward, jnp.where(kind.is_box, np.pi * (spin - 0.5), 0.0)),
        extents_m=_half_extents(kind, radius, half_length, length, breadth),
        end_edge=jnp.where(kind.is_ball, ROUND, SHARP),
        side_edge=jnp.where(kind.is_box | kind.is_card, SHARP, ROUND),
    )
    pen = _pinched_pen(keypoints_m, radius, jnp.stack(noise))
    pinches = jnp.linalg.norm(keypoints_m[4] - keypoints_m[8]) < _PINCH_M
    use_pen = kind.is_pen & pinches
    thing = jax.tree.map(lambda first, second: jnp.where(use_pen, first, second), pen, thing)
    return thing, fits | use_pen


def _kind_of(lot: Float[Array, ""]) -> _Kind:
    shares = ((0.4, 0.58), (0.58, 0.72), (0.72, 0.84), (0.84, 1.0))
    return _Kind(*((low <= lot) & (lot < high) for low, high in shares))


def _palm_of(keypoints_m: Float[Array, "21 3"]) -> _Palm:
    wrist, knuckles = keypoints_m[0], keypoints_m[jnp.array([5, 9, 13, 17])]
    across = normalize(knuckles[3] - knuckles[0])
    along = knuckles[1] - wrist
    along = normalize(along - jnp.dot(along, across) * across)
    return _Palm(wrist, knuckles, across, along, jnp.cross(along, across))


def _roomiest_place(
    keypoints_m: Float[Array, "21 3"],
    palm: _Palm,
    axis: Float[Array, "3"],
    is_ball: Bool[Array, ""],
) -> tuple[Float[Array, "3"], Float[Array, ""]]:
    """Where a thing along an axis has most room, and the radius that fits there; 0 for none."""
    fingers = keypoints_m[1:].reshape(5, 4, 3)
    obstacles, flesh = _obstacles(palm, fingers)
    height, offset = np.meshgrid(np.linspace(0.01, 0.055, 8), [0.0, 0.015, -0.015, 0.03, -0.03])
    height, offset = height.reshape(-1, 1), offset.reshape(-1, 1)
    centres = palm.knuckles.mean(axis=0) + height * palm.outward + offset * palm.along
    is_within = _is_within(centres, jnp.concatenate([palm.wrist[None], fingers[2]]), palm.across)
    gap = obstacles - centres[:, None]
    along_axis = jnp.where(is_ball, 0.0, gap @ axis)
    distance = jnp.linalg.norm(gap - along_axis[..., None] * axis, axis=-1)
    room = jnp.where(is_within, jnp.min(distance - flesh, axis=1), 0)
    room = jnp.minimum(room, _MAX_GRASP_M)
    # Near the palm rather than far from it, where room has no end: within the loop of fingers.
    best = jnp.argmax(jnp.where(is_within, room - 0.5 * height[:, 0], -1))
    return centres[best], room[best]


def _obstacles(
    palm: _Palm, fingers: Float[Array, "5 4 3"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n"]]:
    """Points along the bones, and how much flesh is around each."""
    bones = jnp.concatenate([fingers, (fingers[:, 1:] + fingers[:, :-1]) / 2], axis=1)
    towards_knuckles = [
        palm.wrist + share * (palm.knuckles - palm.wrist) for share in (0.4, 0.7, 1.0)
    ]
    points = jnp.concatenate([bones.reshape(-1, 3), *towards_knuckles])
    return points, jnp.array([_FINGER_FLESH_M] * 35 + [_PALM_FLESH_M] * 12)


def _is_within(
    points: Float[Array, "n 3"], chain: Float[Array, "5 3"], across: Float[Array, "3"]
) -> Bool[Array, "n"]:
    """Whether points are on the palm's side of every bone of a chain from the wrist to the middle
    finger's tip: within the loop."""
    inward = jnp.cross(chain[1:] - chain[:-1], across)
    return jnp.all(jnp.sum((points[:, None] - chain[1:]) * inward, axis=-1) > 0, axis=1)


def _axes(
    axis: Float[Array, "3"], outward: Float[Array, "3"], turn: Float[Array, ""]
) -> Float[Array, "3 3"]:
    """Rows: the first away from the palm, turned about the third, which is the axis."""
    other = jnp.cross(axis, outward)
    return jnp.stack(
        [
            jnp.cos(turn) * outward + jnp.sin(turn) * other,
            jnp.cos(turn) * other - jnp.sin(turn) * outward,
            axis,
        ]
    )


def _half_extents(
    kind: _Kind,
    radius: Float[Array, ""],
    half_length: Float[Array, ""],
    length: Float[Array, ""],
    breadth: Float[Array, ""],
) -> Float[Array, "3"]:
    """Boxes fill the loop to their corners; a card is as broad as a phone and thin.

    Args:
      length, breadth: from 0 to 1, of those that are possible.
    """
    box_radius = radius * 0.75
    extents = jnp.stack([radius, radius, half_length])
    extents = jnp.where(kind.is_box, jnp.stack([box_radius, box_radius, half_length]), extents)
    card = jnp.stack([jnp.minimum(radius, 0.005), 0.03 + 0.02 * breadth, 0.055 + 0.025 * length])
    return jnp.where(kind.is_card, card, extents)


def _pinched_pen(
    keypoints_m: Float[Array, "21 3"], radius: Float[Array, ""], noise: Float[Array, "3"]
) -> Thing:
    """A pen between the tips of thumb and index finger that rests before the index knuckle."""
    tips = (keypoints_m[4] + keypoints_m[8]) / 2
    rest = keypoints_m[5] + 0.04 * (noise - 0.5)
    axis = normalize(rest - tips)
    helper = normalize(keypoints_m[17] - keypoints_m[5] + 1e-4)
    first = normalize(jnp.cross(helper, axis))
    return Thing(
        # A third of the pen lies before the finger tips.
        centre_m=tips + 0.03 * axis,
        axes=jnp.stack([first, jnp.cross(axis, first), axis]),
        extents_m=jnp.stack([0.8 * radius, 0.8 * radius, 0.07 + 0.0 * radius]),
        end_edge=jnp.float32(0.3),
        side_edge=jnp.float32(ROUND),
    )
