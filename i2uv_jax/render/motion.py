"""Hands in motion: frames of one hand on its way from one random pose to another. Pure and
jit-able."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.render.framing import Framing, Placement
from i2uv_jax.types import Camera

_TURN = 0.3
"""How much of the way to another view the hand turns while its fingers go all of theirs."""


@struct.dataclass
class Motion:
    """Where each picture's hand is going and how far it has come."""

    goal: PRNGKeyArray
    """Decides the placement whose pose and, in part, view are the goal."""
    share: Float[Array, "*b"]
    """Of the way, 0 to 1."""


def motion_over(goal: PRNGKeyArray, num_frames: int) -> Motion:
    """Frames with even times between them, of a hand that starts from rest and comes to rest."""
    share = 0.5 - 0.5 * jnp.cos(jnp.linspace(0, jnp.pi, num_frames))
    return Motion(jnp.broadcast_to(goal, (num_frames,)), share)


def between(first: Placement, goal: Placement, share: Float[Array, ""], hand: Hand) -> Placement:
    """The first hand on its way to the goal's pose; the crop follows it, as a tracker would."""
    pose = HandPose(
        _rotation_between(first.pose.joint_rotations, goal.pose.joint_rotations, share),
        _rotation_between(first.pose.forearm_rotation, goal.pose.forearm_rotation, share),
    )
    posed = pose_hand(hand, first.shape, pose)
    rotation = _rotation_between(first.framing.rotation, goal.framing.rotation, _TURN * share)
    # The box of the hand keeps its size and its place in the crop.
    camera = first.framing.camera
    middle, side = _box(first.framing, first.posed.vertices)
    fill = camera.focal * side
    place = camera.focal * middle + camera.principal
    framing = first.framing.replace(rotation=rotation)
    middle, side = _box(framing, posed.vertices)
    camera = Camera(focal=fill / side, principal=place - fill / side * middle)
    return Placement(first.shape, pose, posed, framing.replace(camera=camera))


def _box(
    framing: Framing, vertices_m: Float[Array, "v 3"]
) -> tuple[Float[Array, "2"], Float[Array, ""]]:
    """Middle and longer side of the hand's box, on the plane at depth 1."""
    seen = framing.to_camera_frame(vertices_m)
    plane = seen[:, :2] / seen[:, 2:]
    low, high = plane.min(axis=0), plane.max(axis=0)
    return (low + high) / 2, jnp.max(high - low)


def _rotation_between(first: Array, second: Array, share: Array | float) -> Array:
    """The rotation nearest to the weighted mean of two: about their common axis, from one to the
    other as the share grows; apart by less than half a turn, as joints are."""
    u, _, vt = jnp.linalg.svd((1 - share) * first + share * second)
    return jnp.matmul(u, vt, precision=jax.lax.Precision.HIGHEST)
