"""The rigged hand in JAX: shape space, forward kinematics, linear blend skinning.

All functions take one hand (use `jax.vmap` for batches), are pure, jit-able and differentiable.
Lengths are metres. Matrix products ask for full float32 precision, because the reduced default of
GPUs and TPUs costs tenths of a millimetre.
"""

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_PHENOTYPES

if TYPE_CHECKING:
    from i2uv_jax.hand.asset import Hand

_einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

_EPSILON = 1e-12


def matmul3(left: Float[Array, "*b 3 3"], right: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3 3"]:
    """Product of small matrices as a broadcast sum: full precision on every device.

    Batched 3 x 3 dots are slow on most backends, and XLA's CPU backend (jaxlib 0.10.2) fails to
    compile some of them under two nested `vmap`s.
    """
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], -2)


def apply3(matrix: Float[Array, "*b 3 3"], vector: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Small matrices times vectors, like `matmul3`."""
    return jnp.sum(matrix * vector[..., None, :], -1)


_MIDDLE_MCP = JOINT_NAMES.index("middle_mcp")
_INDEX_MCP = JOINT_NAMES.index("index_mcp")
_LITTLE_MCP = JOINT_NAMES.index("little_mcp")

PHENOTYPE_ANCHORS = (
    np.array([0.0, 1.0]),  # gender: male, female
    np.linspace(-1 / 3, 1, 5),  # age: newborn, baby, child, young, old
    np.array([0.0, 0.5, 1.0]),  # muscle
    np.array([0.0, 0.5, 1.0]),  # weight
    np.array([0.0, 1.0]),  # height
    np.array([0.0, 1.0]),  # proportions
)


@struct.dataclass
class HandPose:
    """Joint angles as rotations, expressed in the axes of the hand frame at rest."""

    joint_rotations: Float[Array, "*b j 3 3"]
    """Local rotation of each joint relative to its parent's, identity at rest."""
    forearm_rotation: Float[Array, "*b 3 3"]
    """Rotation of the forearm against the hand, about the wrist; identity at rest."""


@struct.dataclass
class RestHand:
    """A hand of one shape, before posing, in the hand frame."""

    vertices: Float[Array, "*b v 3"]
    forearm_vertices: Float[Array, "*b a 3"]
    joints: Float[Array, "*b j 3"]


@struct.dataclass
class PosedHand:
    """A posed hand in the hand frame, metres."""

    vertices: Float[Array, "*b v 3"]
    forearm_vertices: Float[Array, "*b a 3"]
    joints: Float[Array, "*b j 3"]
    keypoints: Float[Array, "*b 21 3"]


def phenotype_coefficients(
    corner_coefficients: Float[Array, "corners k"], phenotype: Float[Array, "6"]
) -> Float[Array, "k"]:
    """Blend-shape coefficients of a phenotype (gender, age, muscle, weight, height, proportions).

    Multilinear interpolation between the anchors of the six values; values outside the anchors'
    range are clamped to it.
    """
    product = jnp.ones(1)
    for value, anchors in zip(phenotype, PHENOTYPE_ANCHORS, strict=True):
        value = jnp.clip(value, anchors[0], anchors[-1])
        hats = jnp.maximum(0, 1 - jnp.abs(value - anchors) / (anchors[1] - anchors[0]))
        product = (product[:, None] * hats).reshape(-1)
    return _einsum("c,ck->k", product, corner_coefficients)


def blend_vertices(
    template: Float[Array, "v 3"],
    blend_shapes: Float[Array, "k v 3"],
    coefficients: Float[Array, "k"],
) -> Float[Array, "v 3"]:
    """Template plus the weighted sum of the blend shapes."""
    return template + _einsum("k,kvd->vd", coefficients, blend_shapes)


def forward_kinematics(
    parents: tuple[int, ...],
    rest_joints: Float[Array, "j 3"],
    local_rotations: Float[Array, "j 3 3"],
) -> tuple[Float[Array, "j 3 3"], Float[Array, "j 3"]]:
    """World rotations and posed joint centres, from rotations about each joint's rest centre.

    A parent's index must be smaller than its child's. The root (parent -1) turns in place.
    """
    depth = _depths(parents)
    rotations = jnp.asarray(local_rotations)
    positions = jnp.asarray(rest_joints)
    # Level by level from the root: all joints of one depth in one product.
    for level in range(1, max(depth) + 1):
        joints = np.flatnonzero(np.array(depth) == level)
        above = np.array(parents)[joints]
        offsets = rest_joints[joints] - rest_joints[above]
        world = matmul3(rotations[above], local_rotations[joints])
        reached = positions[above] + apply3(rotations[above], offsets)
        rotations = rotations.at[joints].set(world)
        positions = positions.at[joints].set(reached)
    return rotations, positions


def _depths(parents: tuple[int, ...]) -> list[int]:
    """Number of joints between each joint and the root."""
    depths = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths


def linear_blend_skinning(
    vertices: Float[Array, "v 3"],
    skin_weights: Float[Array, "v j"],
    rest_joints: Float[Array, "j 3"],
    rotations: Float[Array, "j 3 3"],
    joints: Float[Array, "j 3"],
) -> Float[Array, "v 3"]:
    """Each vertex moved by the weighted mean of its joints' rigid transforms."""
    offsets = joints - apply3(rotations, rest_joints)
    transforms = jnp.concatenate([rotations, offsets[..., None]], -1).reshape(-1, 12)
    # One product for rotation and offset together: with the offsets blended in a product of their
    # own and added, XLA's CPU backend (jaxlib 0.10.2) gave wrong vertices under jit and vmap.
    blended = _einsum("vj,jt->vt", skin_weights, transforms).reshape(-1, 3, 4)
    homogeneous = jnp.concatenate([vertices, jnp.ones_like(vertices[:, :1])], -1)
    return jnp.sum(blended * homogeneous[:, None, :], -1)


def rest_hand(hand: "Hand", shape: Float[Array, "s"]) -> RestHand:
    """The hand of a shape vector (see `skeleton.SHAPE_NAMES`) in the hand frame.

    Hand frame of a right hand: origin at the wrist, +y from the wrist to the middle MCP, +z out of
    the palm, +x = y cross z towards the thumb. It is laid into every shape anew, so that shape
    never tilts the hand.
    """
    phenotype = phenotype_coefficients(hand.corner_coefficients, shape[:NUM_PHENOTYPES])
    coefficients = jnp.concatenate([phenotype, shape[NUM_PHENOTYPES:]])
    vertices = blend_vertices(hand.template, hand.blend_shapes, coefficients)
    forearm = blend_vertices(hand.forearm_template, hand.forearm_blend_shapes, coefficients)
    joints = _einsum("jv,vd->jd", hand.joint_regressor, vertices)

    origin = joints[0]
    y_axis = _unit(joints[_MIDDLE_MCP] - origin)
    across = joints[_INDEX_MCP] - joints[_LITTLE_MCP]
    z_axis = _unit(jnp.cross(across, y_axis))
    axes = jnp.stack([jnp.cross(y_axis, z_axis), y_axis, z_axis])

    def to_hand_frame(points):
        return apply3(axes, points - origin)

    return RestHand(to_hand_frame(vertices), to_hand_frame(forearm), to_hand_frame(joints))


def rest_vertices(hand: "Hand", shape: Float[Array, "s"]) -> Float[Array, "v 3"]:
    """Vertices of the unposed hand of a shape, hand frame, metres."""
    return rest_hand(hand, shape).vertices


def flexion_features(hand: "Hand", joint_rotations: Float[Array, "j 3 3"]) -> Float[Array, "c"]:
    """What drives the pose correctives: polynomials of cosine and sine of each joint's flexion.

    For a joint with bone direction d and palmar normal n, the local rotation L takes d to
    L d = cos(flexion) d + sin(flexion) n (plus abduction). The features are (1 - cos),
    sin (1 - cos) and (1 - cos)^2: all vanish at rest, none needs an angle. (basis, joint) order.
    """
    moved = apply3(joint_rotations, hand.bone_directions)
    one_less_cos = 1 - jnp.sum(moved * hand.bone_directions, -1)
    sin = jnp.sum(moved * hand.palmar_normals, -1)
    basis = jnp.stack([one_less_cos, sin * one_less_cos, one_less_cos**2])
    return basis[:, hand.corrective_joints].reshape(-1)


def pose_hand(hand: "Hand", shape: Float[Array, "s"], pose: HandPose) -> PosedHand:
    """Poses a right hand of the given shape: see `PosedHand` for what comes back."""
    rest = rest_hand(hand, shape)
    features = flexion_features(hand, pose.joint_rotations)
    scale = jnp.linalg.norm(rest.joints[_MIDDLE_MCP]) / hand.mean_palm_length_m
    corrected = rest.vertices + scale * _einsum("c,cvd->vd", features, hand.pose_correctives)
    rotations, joints = forward_kinematics(hand.joint_parents, rest.joints, pose.joint_rotations)
    vertices = linear_blend_skinning(corrected, hand.skin_weights, rest.joints, rotations, joints)
    forearm = _pose_forearm(hand, rest.forearm_vertices, pose.forearm_rotation, scale)
    return PosedHand(
        vertices=vertices,
        forearm_vertices=apply3(rotations[0], forearm),
        joints=joints,
        keypoints=_einsum("kv,vd->kd", hand.keypoint_regressor, vertices),
    )


def _pose_forearm(
    hand: "Hand",
    vertices: Float[Array, "a 3"],
    rotation: Float[Array, "3 3"],
    scale: Float[Array, ""],
) -> Float[Array, "a 3"]:
    """Bends and twists the forearm about the wrist (the hand frame's origin).

    The rotation is split into a twist about the forearm's long axis and a bend. The twist sets in
    over the whole length (as radius and ulna do it), each section by a growing share of the angle.
    The bend lays the first centimetres of the axis along a circular arc and keeps each section
    across it; what lies beyond follows as one piece. Were the sections turned about the wrist
    itself, they would be sheared sideways and would cross on the inner side of the bend.
    """
    axis = hand.forearm_axis
    quaternion = _quaternion(rotation)
    along = jnp.sum(quaternion[1:] * axis)
    # twist = (w, along * axis); swing = rotation * inverse(twist)
    twist_angle = 2 * jnp.arctan2(along, quaternion[0] + _EPSILON)
    swing = matmul3(rotation, axis_angle_matrix(axis, -twist_angle))
    bend_axis, bend_angle = _small_axis_angle(swing)
    twist = jax.vmap(axis_angle_matrix, (None, 0))(axis, hand.forearm_twist * twist_angle)
    angles = hand.forearm_bend * bend_angle
    bend = jax.vmap(axis_angle_matrix, (None, 0))(bend_axis, angles)
    # An arc of this length that turns by `bend_angle` starts along `axis` and leans sideways.
    length = scale * hand.forearm_bend_length_m
    sideways = jnp.cross(bend_axis, axis)
    straight = length * hand.forearm_bend[:, None] * axis
    forwards, leaning = jnp.sin(angles)[:, None], 1 - jnp.cos(angles)[:, None]
    arc = length / bend_angle * (forwards * axis + leaning * sideways)
    return arc + apply3(bend, apply3(twist, vertices) - straight)


def _unit(vector: Float[Array, "3"]) -> Float[Array, "3"]:
    return vector / jnp.sqrt(jnp.sum(vector**2) + _EPSILON)


def _quaternion(rotation: Float[Array, "3 3"]) -> Float[Array, "4"]:
    """(w, x, y, z) of a rotation by less than 180 degrees."""
    w = jnp.sqrt(jnp.maximum(1 + jnp.trace(rotation), 1e-6)) / 2
    return jnp.concatenate([w[None], _antisymmetric_part(rotation) / (2 * w)])


def _antisymmetric_part(rotation: Float[Array, "3 3"]) -> Float[Array, "3"]:
    """Rotation axis times the sine of the angle."""
    skew = (rotation - rotation.T) / 2
    return jnp.stack([skew[2, 1], skew[0, 2], skew[1, 0]])


def _small_axis_angle(rotation: Float[Array, "3 3"]) -> tuple[Float[Array, "3"], Float[Array, ""]]:
    """Axis and angle; at the identity some axis with a tiny angle, and finite gradients."""
    sine_axis = _antisymmetric_part(rotation)
    sine = jnp.sqrt(jnp.sum(sine_axis**2) + _EPSILON)
    return sine_axis / sine, jnp.arctan2(sine, (jnp.trace(rotation) - 1) / 2)


def axis_angle_matrix(axis: Float[Array, "3"], angle: Float[Array, ""]) -> Float[Array, "3 3"]:
    """Rodrigues' formula for a unit axis."""
    x, y, z = axis
    zero = jnp.zeros_like(x)
    cross = jnp.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]])
    square = matmul3(cross, cross)
    return jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * square


def rotation_of_vector(vector: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """Rotation matrix of an axis times an angle in radians; smooth at zero."""
    angle = jnp.sqrt(jnp.sum(vector**2) + _EPSILON)
    return axis_angle_matrix(vector / angle, angle)
