"""Random hand poses within anatomical limits.

Angles are degrees in tables and radians in functions, three a joint: (flexion, abduction, twist).

- Flexion bends a finger towards the palm; the thumb's bends it across the palm.
- Abduction of a finger is positive towards the thumb; the thumb's at the CMC is positive away from
  the plane of the palm (palmar abduction).
- The more the thumb's metacarpal flexes, the more it is abducted at least (degree for degree).
- Zero is the rest pose of the mesh: a flat hand, fingers spread by about 10 degrees each and bent
  by about 10 degrees, the thumb half abducted. So 80 degrees of flexion here are about 90 degrees
  by a goniometer.

Limits: active ranges of the American Academy of Orthopaedic Surgeons (Norkin and White,
Measurement of Joint Motion: MCP 90, PIP 100, DIP 80-90, thumb MCP 50, IP 80), hyperextension at
the MCP and abduction from the same, twist within what cartilage allows (a few degrees); the DIP
follows the PIP by about two thirds (Rijpkema and Girard 1991).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.hand.model import (
    HandPose,
    apply3,
    axis_angle_matrix,
    forward_kinematics,
    matmul3,
)
from i2uv_jax.hand.named_poses import CLOSED, DIP_PER_PIP, FINGERS, NAMED_POSES
from i2uv_jax.hand.self_contact import penetration_mm
from i2uv_jax.hand.skeleton import JOINT_NAMES

_ZERO = ((0, 0), (0, 0), (0, 0))
_LIMITS_DEGREES = {
    "wrist": _ZERO,
    "index_cmc": _ZERO,
    "middle_cmc": _ZERO,
    "ring_cmc": ((-2, 8), (-2, 2), (-3, 3)),
    "little_cmc": ((-3, 14), (-3, 3), (-6, 6)),
    "thumb_cmc": ((-15, 35), (-25, 30), (-15, 25)),
    "thumb_mcp": ((-10, 50), (-8, 8), (-5, 5)),
    "thumb_ip": ((-20, 75), (0, 0), (0, 0)),
    "index_mcp": ((-30, 80), (-20, 14), (-5, 5)),
    "middle_mcp": ((-30, 82), (-12, 12), (-5, 5)),
    "ring_mcp": ((-28, 84), (-12, 18), (-5, 5)),
    "little_mcp": ((-28, 84), (-16, 24), (-6, 6)),
    "index_pip": ((-12, 98), (0, 0), (0, 0)),
    "middle_pip": ((-12, 98), (0, 0), (0, 0)),
    "ring_pip": ((-12, 98), (0, 0), (0, 0)),
    "little_pip": ((-12, 96), (0, 0), (0, 0)),
    "index_dip": ((-10, 70), (0, 0), (0, 0)),
    "middle_dip": ((-10, 70), (0, 0), (0, 0)),
    "ring_dip": ((-10, 70), (0, 0), (0, 0)),
    "little_dip": ((-10, 70), (0, 0), (0, 0)),
}
ANGLE_LIMITS = np.deg2rad([_LIMITS_DEGREES[name] for name in JOINT_NAMES])
"""(joints, 3, 2): least and greatest flexion, abduction, twist, radians."""

WRIST_LIMITS = np.deg2rad([(-65, 60), (-28, 18), (-70, 70)])
"""(3, 2): least and greatest extension of the wrist (negative: flexion), radial deviation
(negative: ulnar), twist of the forearm about its axis (pronation and supination); radians."""

_NUM_CANDIDATES = 6
_HARMLESS_MM = 1.0
"""Overlap that skin takes up; candidates below it count as equal, so that the first one is kept."""
_LAST_JOINTS = np.array([7, 10, 13, 16, 19])
_THUMB_CMC = JOINT_NAMES.index("thumb_cmc")


def joint_rotations_from_angles(hand: Hand, angles: Float[Array, "j 3"]) -> Float[Array, "j 3 3"]:
    """Local rotations from (flexion, abduction, twist) of each joint, radians; see the module.

    Twist turns about the bone first, then abduction about the palmar normal, then flexion about
    the axis that is fixed in the parent bone, as in a universal joint.
    """
    direction, normal = jnp.asarray(hand.bone_directions), jnp.asarray(hand.palmar_normals)
    rotate = jax.vmap(axis_angle_matrix)
    flexion = rotate(jnp.cross(direction, normal), angles[:, 0])
    abduction = rotate(-normal, angles[:, 1])
    twist = rotate(direction, angles[:, 2])
    return matmul3(flexion, matmul3(abduction, twist))


def sample_angles(key: PRNGKeyArray) -> Float[Array, "j 3"]:
    """One random draw of all joint angles (radians) within `ANGLE_LIMITS`; jit-able.

    A third each: near a named pose; between two named poses; each finger for itself (its own curl,
    half of them between two fingers' states), all with noise on every degree of freedom.
    """
    keys = jax.random.split(key, 8)
    named = jnp.asarray(np.stack(list(NAMED_POSES.values())), jnp.float32)
    first, second, *per_finger = jax.random.randint(keys[0], (7,), 0, len(named))
    between = jax.random.uniform(keys[1])
    near = named[first]
    mixed = near + (named[second] - near) * between
    own = jnp.zeros_like(near)
    for number, (finger, source) in enumerate(zip(("thumb", *FINGERS), per_finger, strict=True)):
        rows = np.array([row for row, name in enumerate(JOINT_NAMES) if name.startswith(finger)])
        # Beta(1/2, 1/2), by its inverse: near one of the two states more often than between.
        share = jnp.sin(np.pi / 2 * jax.random.uniform(jax.random.fold_in(keys[2], number))) ** 2
        state = near + share * (named[source] - near)
        own = own.at[rows].set(state[rows])
    kind = jax.random.randint(keys[3], (), 0, 3)
    angles = jnp.stack([near, mixed, own])[kind]

    limits = jnp.asarray(ANGLE_LIMITS, jnp.float32)
    width = limits[..., 1] - limits[..., 0]
    noise_scale = jax.random.uniform(keys[4], minval=0.01, maxval=0.09)
    angles = angles + noise_scale * width * jax.random.normal(keys[5], angles.shape)
    # The DIP follows the PIP, with some play of its own (it can be pushed).
    pip = np.array([JOINT_NAMES.index(f"{finger}_pip") for finger in FINGERS])
    play = 0.1 * jax.random.normal(keys[6], (len(FINGERS),))
    angles = angles.at[pip + 1, 0].set(DIP_PER_PIP * angles[pip, 0] + play)
    # A bent MCP has tight side ligaments: no spreading left at 80 degrees.
    mcp = pip - 1
    tight = 1 - 0.75 * jnp.clip(angles[mcp, 0] / np.deg2rad(80), 0, 1)
    rest_to_closed = jnp.asarray(np.deg2rad(CLOSED), jnp.float32)
    angles = angles.at[mcp, 1].set(rest_to_closed + tight * (angles[mcp, 1] - rest_to_closed))
    # The palm's hollow goes with ring and little finger.
    cup = 0.10 * jnp.stack([angles[mcp[2], 0], 1.6 * angles[mcp[3], 0]])
    cmc = np.array([JOINT_NAMES.index("ring_cmc"), JOINT_NAMES.index("little_cmc")])
    angles = angles.at[cmc, 0].add(cup)
    return thumb_before_palm(jnp.clip(angles, limits[..., 0], limits[..., 1]))


def thumb_before_palm(angles: Float[Array, "j 3"]) -> Float[Array, "j 3"]:
    """The angles with as much abduction of the thumb as its flexion needs.

    The thumb's metacarpal lies against the index's when it is fully adducted. From there it can
    cross the palm only in front of it: in opposition, which joins flexion and abduction.
    """
    least = ANGLE_LIMITS[_THUMB_CMC, 1, 0] + jnp.maximum(angles[_THUMB_CMC, 0], 0)
    return angles.at[_THUMB_CMC, 1].max(least)


def sample_forearm_rotation(key: PRNGKeyArray, hand: Hand) -> Float[Array, "3 3"]:
    """A random bend of the wrist and pronation of the forearm."""
    spread = jnp.asarray(WRIST_LIMITS[:, 1] - WRIST_LIMITS[:, 0], jnp.float32) / 5
    angles = jax.random.normal(key, (3,)) * spread
    angles = jnp.clip(angles, WRIST_LIMITS[:, 0], WRIST_LIMITS[:, 1])
    return forearm_rotation_from_angles(hand, angles)


def forearm_rotation_from_angles(hand: Hand, angles: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """Rotation of the forearm from the wrist's angles, radians, in the order of `WRIST_LIMITS`."""
    extension = axis_angle_matrix(jnp.array([1.0, 0.0, 0.0]), angles[0])
    deviation = axis_angle_matrix(jnp.array([0.0, 0.0, 1.0]), angles[1])
    twist = axis_angle_matrix(jnp.asarray(hand.forearm_axis), angles[2])
    return matmul3(extension, matmul3(deviation, twist))


def finger_overlap_mm(hand: Hand, rotations: Float[Array, "j 3 3"]) -> Float[Array, ""]:
    """Deepest overlap of two fingers, or finger and palm, of the mean hand in a pose."""
    world, joints = forward_kinematics(hand.joint_parents, jnp.asarray(hand.mean_joints), rotations)
    offsets = jnp.asarray(hand.mean_tips - hand.mean_joints[_LAST_JOINTS])
    reach = apply3(world[_LAST_JOINTS], offsets)
    return jnp.max(penetration_mm(joints, joints[_LAST_JOINTS] + reach))


def sample_pose(key: PRNGKeyArray, hand: Hand | None = None) -> HandPose:
    """A random pose: open, fist, pointing, pinching, counting, grasp, mixtures; jit-able.

    Several candidates are drawn and the one whose fingers cross each other least is kept.
    """
    hand = load_hand() if hand is None else hand
    angle_key, forearm_key = jax.random.split(key)
    candidates = jax.vmap(sample_angles)(jax.random.split(angle_key, _NUM_CANDIDATES))
    rotations = jax.vmap(joint_rotations_from_angles, (None, 0))(hand, candidates)
    overlap = jax.vmap(finger_overlap_mm, (None, 0))(hand, rotations)
    return HandPose(
        joint_rotations=rotations[jnp.argmin(jnp.maximum(overlap, _HARMLESS_MM))],
        forearm_rotation=sample_forearm_rotation(forearm_key, hand),
    )
