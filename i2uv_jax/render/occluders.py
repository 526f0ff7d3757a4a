"""Things that hide parts of a hand: in front of it, in its grasp, and another hand's fingers.

Each thing is a superellipsoid, so the triangles are the same in every picture, which is what the
rasteriser wants; a thing that is absent lies in one point behind the camera and is skipped.
Pure, jit-able, vmap-able.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from i2uv_jax.config import OcclusionConfig
from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.render.colour import srgb_to_linear
from i2uv_jax.render.grasped import sample_grasped
from i2uv_jax.render.monk_scale import sample_tone
from i2uv_jax.render.occlusion import thing_capsule
from i2uv_jax.render.superellipsoid import GRID, ROUND, SHARP, Thing, surface
from i2uv_jax.render.view import uniform_rotation

_NUM_FINGERS = 3
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


_NUM_THINGS = 2 + _NUM_FINGERS

OCCLUDER_FACES: Int[np.ndarray, "f 3"] = np.concatenate(
    [GRID.faces + thing * GRID.num_vertices for thing in range(_NUM_THINGS)]
)
"""Triangles of all things, counter-clockwise seen from outside."""
NUM_OCCLUDER_VERTICES = _NUM_THINGS * GRID.num_vertices


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
    vertices = jnp.stack([surface(thing) for thing in things])
    hidden = jnp.array([0.0, 0.0, -1.0])
    vertices = jnp.where(present[:, None, None], vertices, hidden)
    capsules = [thing_capsule(thing.centre_m, thing.axes, thing.extents_m) for thing in things]
    return Occluders(
        vertices_m=vertices.reshape(-1, 3),
        albedo=_colours(colour_key).reshape(-1, 3),
        capsules=tuple(jnp.stack(part) for part in zip(*capsules, strict=True)),
        present=present,
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
    return Thing(
        centre_m=share * target + jnp.append(beside, 0.0),
        axes=uniform_rotation(rotation_key),
        extents_m=extents,
        end_edge=jnp.where(end < 0.6, SHARP, ROUND),
        side_edge=jnp.where(side < 0.4, SHARP, ROUND),
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
        Thing(
            centre_m=centre + 0.018 * number * beside + 0.015 * (curl - 0.5) * axis,
            axes=axes,
            extents_m=jnp.stack([radius, radius, 0.04 + 0.0 * radius]),
            end_edge=jnp.float32(0.45),
            side_edge=jnp.float32(ROUND),
        )
        for number, curl in zip((-1, 0, 1), curls, strict=True)
    ]


def _colours(key):
    """Albedo (things, n, 3): one colour each, most with a band or panel of a second, as labels."""
    colour_key, tone_key, panel_key = jax.random.split(key, 3)
    colours = jax.random.uniform(colour_key, (2, 2, 3))
    # Half of the things are nearly grey, white or black.
    grey = colours.mean(axis=-1, keepdims=True)
    dull = jax.random.uniform(panel_key, (2, 2, 4))
    colours = jnp.where(dull[..., :1] < 0.5, grey + 0.15 * (colours - grey), colours)
    start, stop, kind = dull[:, 0, 1], dull[:, 0, 2], dull[:, 0, 3]
    latitude, longitude = jnp.asarray(GRID.latitude), jnp.asarray(GRID.longitude)
    band = jnp.abs(jnp.sin(latitude) - (start[:, None] - 0.5)) < 0.2 + 0.7 * stop[:, None]
    panel = jnp.cos(longitude - 2 * np.pi * start[:, None]) > stop[:, None]
    is_second = jnp.where(kind[:, None] < 0.4, band, panel & (kind[:, None] < 0.8))
    solid = srgb_to_linear(jnp.where(is_second[..., None], colours[:, 1:], colours[:, :1]))
    tone = srgb_to_linear(sample_tone(tone_key)) * jnp.array([1.0, 0.82, 0.76])
    skin = jnp.broadcast_to(tone, (_NUM_FINGERS, GRID.num_vertices, 3))
    return jnp.concatenate([solid, skin])
