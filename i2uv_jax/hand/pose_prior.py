"""Random hand poses within anatomical limits.

Angles are degrees in tables and radians in functions, three a joint: (flexion, abduction, twist).

- Flexion bends a finger towards the palm; the thumb's bends it across the palm.
- Abduction of a finger is positive towards the thumb; the thumb's at the CMC is positive away from
  the plane of the palm (palmar abduction).
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
from i2uv_jax.hand.model import HandPose, axis_angle_matrix
from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS

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

_WRIST_LIMITS = np.deg2rad([(-60, 65), (-18, 28), (-70, 70)])
"""Of the forearm against the hand: flexion, deviation, pronation (radians)."""

_FINGERS = ("index", "middle", "ring", "little")
_DIP_PER_PIP = 0.66
_NUM_CANDIDATES = 4


def joint_rotations_from_angles(
    hand: Hand, angles: Float[Array, "j 3"]
) -> Float[Array, "j 3 3"]:
    """Local rotations from (flexion, abduction, twist) of each joint, radians; see the module.

    Twist turns about the bone first, then abduction about the palmar normal, then flexion about
    the axis that is fixed in the parent bone, as in a universal joint.
    """
    direction, normal = jnp.asarray(hand.bone_directions), jnp.asarray(hand.palmar_normals)
    rotate = jax.vmap(axis_angle_matrix)
    flexion = rotate(jnp.cross(direction, normal), angles[:, 0])
    abduction = rotate(-normal, angles[:, 1])
    twist = rotate(direction, angles[:, 2])
    highest = jax.lax.Precision.HIGHEST
    return jnp.einsum("jab,jbc,jcd->jad", flexion, abduction, twist, precision=highest)


def _pose(thumb, index, middle, ring, little, spread=(0, 0, 0, 0)) -> np.ndarray:
    """Angles of a named pose, degrees: thumb (CMC flexion, CMC abduction, CMC twist, MCP, IP);
    fingers (MCP, PIP flexion); spread is the fingers' abduction."""
    angles = np.zeros((NUM_JOINTS, 3))
    angles[JOINT_NAMES.index("thumb_cmc")] = thumb[:3]
    angles[JOINT_NAMES.index("thumb_mcp"), 0] = thumb[3]
    angles[JOINT_NAMES.index("thumb_ip"), 0] = thumb[4]
    for name, (mcp, pip), abduction in zip(
        _FINGERS, (index, middle, ring, little), spread, strict=True
    ):
        angles[JOINT_NAMES.index(f"{name}_mcp")] = (mcp, abduction, 0)
        angles[JOINT_NAMES.index(f"{name}_pip"), 0] = pip
        angles[JOINT_NAMES.index(f"{name}_dip"), 0] = pip * _DIP_PER_PIP
    return np.deg2rad(angles)


_CLOSED = (-8, -1, 6, 12)
"""Abduction that brings the spread fingers of the rest pose side by side."""
_OPEN_THUMB = (0, 0, 0, 0, 0)
_FOLDED_THUMB = (22, 12, 10, 35, 45)
_UP, _BENT, _FIST = (-3, -4), (40, 55), (76, 92)
_NAMED_POSES = np.stack(
    [
        _pose(_OPEN_THUMB, (0, 0), (0, 0), (0, 0), (0, 0)),
        _pose(_OPEN_THUMB, _UP, _UP, _UP, _UP, (6, 2, -4, -8)),
        _pose((5, -5, 0, 0, 0), _UP, _UP, _UP, _UP, _CLOSED),
        _pose((8, 5, 5, 8, 12), (12, 18), (16, 22), (18, 24), (20, 26), (-4, 0, 3, 6)),
        _pose((10, 8, 5, 10, 15), (30, 35), (34, 40), (38, 42), (40, 42), _CLOSED),
        _pose(_FOLDED_THUMB, _FIST, _FIST, _FIST, _FIST, _CLOSED),
        _pose((-8, -10, 0, -5, -10), _FIST, _FIST, _FIST, _FIST, _CLOSED),
        _pose(_FOLDED_THUMB, _UP, _FIST, _FIST, _FIST, (0, 0, 4, 8)),
        _pose((-5, 0, 0, 0, 0), _UP, _FIST, _FIST, _FIST, (0, 0, 4, 8)),
        _pose(_FOLDED_THUMB, _UP, _UP, _FIST, _FIST, (4, -6, 3, 6)),
        _pose((-5, 0, 0, 0, 0), _UP, _UP, _FIST, _FIST, (4, -6, 3, 6)),
        _pose((28, 15, 15, 40, 30), _UP, _UP, _UP, _FIST, (2, 0, 0, 6)),
        _pose((28, 15, 15, 40, 30), _UP, _UP, _UP, _UP, (2, 0, 0, -4)),
        _pose(_FOLDED_THUMB, _FIST, _FIST, _FIST, _UP, (-6, 0, 4, 4)),
        _pose((-5, 0, 0, 0, 0), _FIST, _FIST, _FIST, _UP, (-6, 0, 4, 4)),
        _pose((18, 26, 18, 10, 30), (45, 48), (10, 15), (5, 10), (0, 5)),
        _pose((18, 26, 18, 10, 30), (45, 48), (48, 55), (52, 60), (55, 62), _CLOSED),
        _pose((22, 26, 20, 15, 30), (48, 50), (50, 48), (12, 16), (5, 8), (-6, 0, 3, 6)),
        _pose((5, 20, 10, 5, 15), (30, 35), (32, 38), (34, 40), (36, 42), (0, 0, 0, 0)),
        _pose((12, 24, 15, 10, 20), (48, 45), (50, 48), (52, 50), (54, 50), _CLOSED),
        _pose((5, 15, 8, 5, 25), (-5, 70), (-5, 72), (-5, 72), (-5, 70), _CLOSED),
        _pose((5, 10, 5, 10, 15), (70, 5), (72, 6), (72, 6), (72, 5), _CLOSED),
    ]
)


def sample_angles(key: PRNGKeyArray) -> Float[Array, "j 3"]:
    """One random draw of all joint angles (radians) within `ANGLE_LIMITS`; jit-able.

    A third each: near a named pose; between two named poses; each finger for itself (its own curl,
    half of them between two fingers' states), all with noise on every degree of freedom.
    """
    keys = jax.random.split(key, 8)
    named = jnp.asarray(_NAMED_POSES, jnp.float32)
    first, second, *per_finger = jax.random.randint(keys[0], (7,), 0, len(named))
    between = jax.random.uniform(keys[1])
    near = named[first]
    mixed = near + (named[second] - near) * between
    own = jnp.zeros_like(near)
    for number, (finger, source) in enumerate(zip(("thumb", *_FINGERS), per_finger, strict=True)):
        rows = np.array([row for row, name in enumerate(JOINT_NAMES) if name.startswith(finger)])
        share = jax.random.beta(jax.random.fold_in(keys[2], number), 0.8, 0.8)
        state = near + share * (named[source] - near)
        own = own.at[rows].set(state[rows])
    kind = jax.random.randint(keys[3], (), 0, 3)
    angles = jnp.stack([near, mixed, own])[kind]

    limits = jnp.asarray(ANGLE_LIMITS, jnp.float32)
    width = limits[..., 1] - limits[..., 0]
    noise_scale = jax.random.uniform(keys[4], minval=0.01, maxval=0.09)
    angles = angles + noise_scale * width * jax.random.normal(keys[5], angles.shape)
    # The DIP follows the PIP, with some play of its own (it can be pushed).
    pip = np.array([JOINT_NAMES.index(f"{finger}_pip") for finger in _FINGERS])
    play = 0.1 * jax.random.normal(keys[6], (len(_FINGERS),))
    angles = angles.at[pip + 1, 0].set(_DIP_PER_PIP * angles[pip, 0] + play)
    # A bent MCP has tight side ligaments: no spreading left at 80 degrees.
    mcp = pip - 1
    tight = 1 - 0.75 * jnp.clip(angles[mcp, 0] / np.deg2rad(80), 0, 1)
    rest_to_closed = jnp.asarray(np.deg2rad(_CLOSED), jnp.float32)
    angles = angles.at[mcp, 1].set(rest_to_closed + tight * (angles[mcp, 1] - rest_to_closed))
    # The palm's hollow goes with ring and little finger.
    cup = 0.10 * jnp.stack([angles[mcp[2], 0], 1.6 * angles[mcp[3], 0]])
    cmc = np.array([JOINT_NAMES.index("ring_cmc"), JOINT_NAMES.index("little_cmc")])
    angles = angles.at[cmc, 0].add(cup)
    return jnp.clip(angles, limits[..., 0], limits[..., 1])


def sample_forearm_rotation(key: PRNGKeyArray, hand: Hand) -> Float[Array, "3 3"]:
    """A random bend of the wrist and pronation of the forearm."""
    spread = jnp.asarray(_WRIST_LIMITS[:, 1] - _WRIST_LIMITS[:, 0], jnp.float32) / 5
    angles = jax.random.normal(key, (3,)) * spread
    angles = jnp.clip(angles, _WRIST_LIMITS[:, 0], _WRIST_LIMITS[:, 1])
    flexion = axis_angle_matrix(jnp.array([1.0, 0.0, 0.0]), angles[0])
    deviation = axis_angle_matrix(jnp.array([0.0, 0.0, 1.0]), angles[1])
    twist = axis_angle_matrix(jnp.asarray(hand.forearm_axis), angles[2])
    return flexion @ deviation @ twist


def sample_pose(key: PRNGKeyArray, hand: Hand | None = None) -> HandPose:
    """A random pose: open hands, fists, pointing, pinching, counting, grasps and mixtures; jit-able.

    Several candidates are drawn and the one whose fingers cross each other least is kept.
    """
    hand = load_hand() if hand is None else hand
    angle_key, forearm_key = jax.random.split(key)
    candidates = jax.vmap(sample_angles)(jax.random.split(angle_key, _NUM_CANDIDATES))
    rotations = jax.vmap(joint_rotations_from_angles, (None, 0))(hand, candidates)
    return HandPose(
        joint_rotations=rotations[0],
        forearm_rotation=sample_forearm_rotation(forearm_key, hand),
    )
