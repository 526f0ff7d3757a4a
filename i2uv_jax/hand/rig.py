"""A hand that was reconstructed, as one that can be posed anew: its joints' rotations, its bones,
and its skin with all joints at rest.

Each joint's part of the mean hand is laid onto the mesh by least squares, as in `skinned_fit`, but
the parts bend into each other, so it is done again and again: each part onto the mesh less what the
other parts' pull makes of the mean hand there. The skin is then the mesh itself, unposed: posed by
linear blend skinning it is the mesh again, whatever its shape.

NumPy alone but for the mean hand, for one mesh at a time on the host.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from i2uv_jax.geometry.subdivision import subdivide_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.mirror import MIRROR
from i2uv_jax.hand.model import rest_vertices
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.hand.skeleton import JOINT_PARENTS, NUM_JOINTS

_ROUNDS = 5
"""Halve the errors of the rotations, 2.1 to 1.0 degrees over random poses and shapes; 15 further
ones gain 0.03."""

_SHARPNESS = 2
"""Power of skin weights when parts are fitted: what follows several joints says less of each."""


JOINTS_PER_VERTEX = 4
"""That move any vertex, at most."""


@dataclass(frozen=True)
class Rig:
    """A hand to be posed. Lengths in the unit of the mesh, which is millimetres in predictions.

    The hand frame is that of `hand.model.rest_hand`, for left hands its mirror image: the wrist
    joint is the origin, +y runs from it to the middle MCP joint of the hand at rest, +z out of the
    palm, and x towards the thumb of a right hand and away from that of a left one.
    """

    rest_vertices: Float[np.ndarray, "v 3"]
    """The mesh with all joints at rest, in the hand frame."""
    rest_joints: Float[np.ndarray, "20 3"]
    """Joint centres then, in the order of `skeleton.JOINT_NAMES`."""
    joint_rotations: Float[np.ndarray, "20 3 3"]
    """Of each joint against its parent's, in the axes of the hand frame; the wrist's takes the hand
    frame to the mesh's."""
    wrist: Float[np.ndarray, "3"]
    """The wrist joint in the mesh's frame."""

    @property
    def joint_quaternions(self) -> Float[np.ndarray, "20 4"]:
        """`joint_rotations` as x, y, z and w, the last not negative."""
        # Only now: it takes half a second, which hands without a rig need not wait.
        from scipy.spatial.transform import Rotation

        return Rotation.from_matrix(self.joint_rotations).as_quat(canonical=True)

    @property
    def vertices(self) -> Float[np.ndarray, "v 3"]:
        """The mesh as it is posed, in its own frame."""
        turns, joints = world_pose(self)
        weights = mesh_skin_weights(len(self.rest_vertices))
        matrices, shifts = _blended(weights, turns, joints, self.rest_joints)
        return _apply(matrices, self.rest_vertices) + shifts


def rig_of(vertices: Float[np.ndarray, "v 3"], *, is_left: bool = False) -> Rig:
    """The rig whose pose is that of a mesh.

    On hands of random shapes and poses of our own the rotations, of joints in the mesh's frame, are
    off by 1.0 degree in the mean, and joints by 0.5 mm.

    Args:
      vertices: of the default hand's mesh or its fine one, in any frame and unit.
      is_left: they are a left hand's, mirrored from the hand's right one. Of the wrong side the
        rotations have no meaning.

    Raises:
      ValueError: a vertex is not finite, or as `mesh_skin_weights` says.
    """
    vertices = np.asarray(vertices, np.float64)
    if not np.isfinite(vertices).all():
        raise ValueError("no rig is known for a mesh with vertices that are not finite")
    if is_left:
        return _mirrored(rig_of(vertices * MIRROR))
    hand, weights = load_hand(), mesh_skin_weights(len(vertices))
    # A fine mesh's first vertices are the hand's.
    scaled, shifts = _fit_parts(vertices[: hand.num_vertices])
    turns = scaled / np.cbrt(np.linalg.det(scaled))[:, None, None]
    parents = np.maximum(JOINT_PARENTS, 0)
    # Where a joint is, its own part and its parent's say both.
    own, parent_s = (
        _apply(scaled[part], hand.mean_joints) + shifts[part]
        for part in (np.arange(NUM_JOINTS), parents)
    )
    joints = (own + parent_s) / 2
    local = np.swapaxes(turns[parents], -1, -2) @ turns
    local[0] = turns[0]
    bones = _apply(np.swapaxes(turns[parents], -1, -2), joints - joints[parents])
    rest_joints = np.zeros_like(joints)
    for joint in range(1, NUM_JOINTS):
        rest_joints[joint] = rest_joints[parents[joint]] + bones[joint]
    matrices, moves = _blended(weights, turns, joints, rest_joints)
    unposed = np.linalg.solve(matrices, (vertices - moves)[..., None])[..., 0]
    return Rig(unposed, rest_joints, local, joints[0])


def world_pose(rig: Rig) -> tuple[Float[np.ndarray, "20 3 3"], Float[np.ndarray, "20 3"]]:
    """Rotations from the hand frame to the mesh's of all joints, and where the joints are there."""
    turns, joints = rig.joint_rotations.copy(), np.tile(rig.wrist, (NUM_JOINTS, 1))
    for joint in range(1, NUM_JOINTS):
        parent = JOINT_PARENTS[joint]
        turns[joint] = turns[parent] @ rig.joint_rotations[joint]
        bone = rig.rest_joints[joint] - rig.rest_joints[parent]
        joints[joint] = joints[parent] + turns[parent] @ bone
    return turns, joints


@lru_cache(maxsize=2)
def mesh_skin_weights(num_vertices: int) -> Float[np.ndarray, "v 20"]:
    """The weights with which a mesh's vertices follow the joints; rows sum to 1.

    Raises:
      ValueError: neither the default hand's mesh nor its fine one has so many vertices.
    """
    hand = load_hand()
    weights = hand.skin_weights.astype(np.float64)
    if num_vertices == len(weights):
        return weights
    weights = np.asarray(subdivide_vertices(subdivision_of(hand), weights), np.float64)
    if num_vertices != len(weights):
        raise ValueError(f"no rig is known for a mesh of {num_vertices} vertices")
    least = np.sort(weights, axis=1)[:, -JOINTS_PER_VERTEX, None]
    weights = np.where(weights >= least, weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=1)
def _mean_hand_at_rest() -> Float[np.ndarray, "v 3"]:
    at_rest = jax.jit(rest_vertices)(load_hand(), jnp.asarray(MEAN_SHAPE, jnp.float32))
    return np.asarray(at_rest, np.float64)


def _fit_parts(vertices):
    """A similarity for each joint's part: matrices and shifts that take the hand at rest to it."""
    rest = _mean_hand_at_rest()
    weights = mesh_skin_weights(len(vertices)).T
    shares = weights**_SHARPNESS
    shares /= shares.sum(axis=1, keepdims=True)
    centres = shares @ rest
    places = rest - centres[:, None]  # (j, v, 3)
    weighted = shares[..., None] * places
    variances = (weighted * places).sum(axis=(1, 2))
    targets = vertices[None]
    for _ in range(_ROUNDS + 1):
        middles = (shares[..., None] * targets).sum(axis=1)
        covariances = np.swapaxes(targets, 1, 2) @ weighted
        u, singular, vt = np.linalg.svd(covariances)
        signs = np.ones_like(singular)
        signs[:, 2] = np.sign(np.linalg.det(u @ vt))
        scales = (singular * signs).sum(axis=1) / variances
        matrices = scales[:, None, None] * ((u * signs[:, None]) @ vt)
        shifts = middles - _apply(matrices, centres)
        parts = rest @ np.swapaxes(matrices, 1, 2) + shifts[:, None]
        targets = parts + (vertices - (weights[..., None] * parts).sum(axis=0))
    return matrices, shifts


def _blended(weights, turns, joints, rest_joints):
    """Matrix and shift of every vertex, by which linear blend skinning takes it from rest."""
    matrices = np.einsum("vj,jcd->vcd", weights, turns)
    return matrices, weights @ (joints - _apply(turns, rest_joints))


def _apply(matrices, points):
    return (matrices @ points[..., None])[..., 0]


def _mirrored(rig: Rig) -> Rig:
    both_sides = np.outer(MIRROR, MIRROR)
    return replace(
        rig,
        rest_vertices=rig.rest_vertices * MIRROR,
        rest_joints=rig.rest_joints * MIRROR,
        joint_rotations=rig.joint_rotations * both_sides,
        wrist=rig.wrist * MIRROR,
    )
