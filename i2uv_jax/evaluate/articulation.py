"""A hand's joints turned such that its mesh comes nearest to another one: what is left is shape.

Gauss-Newton steps on the mean squared distance of corresponding vertices over the place of the hand
and a rotation of each joint, with the skinning of the rigged hand. Bones keep their lengths.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.mano import Mano
from i2uv_jax.hand.model import forward_kinematics, linear_blend_skinning, rotation_of_vector

_STEPS = 20
_GREATEST_STEP = 0.35
"""Radians that any joint may turn in one step."""
_PRIOR_MM2 = 1e-3
"""Price of a radian at a joint, in square millimetres of mean squared distance: enough to keep
still what moves no vertex."""
_SHIFT_UNIT_MM = 100.0
"""About what a radian at the wrist moves, so that all unknowns are of one size."""

_einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


@struct.dataclass
class Skinning:
    """How a mesh follows its joints, whatever pose it has."""

    skin_weights: Float[np.ndarray, "v j"]
    joint_regressor: Float[np.ndarray, "j v"]
    """Joint centres from vertices; made for the rest pose, so some millimetres off in others."""
    parents: tuple[int, ...] = struct.field(pytree_node=False)


def skinning_of(hand: Hand | Mano) -> Skinning:
    """That of the default hand or of MANO."""
    parents = hand.parents if isinstance(hand, Mano) else hand.joint_parents
    return Skinning(hand.skin_weights, hand.joint_regressor, parents)


def turn_joints(
    skinning: Skinning,
    vertices: Float[np.ndarray, "v 3"],
    target: Float[np.ndarray, "t 3"],
    points: Float[np.ndarray, "n 3"],
    point_weights: Float[np.ndarray, "n j"],
    *,
    to_target: Float[np.ndarray, "t v"] | None = None,
) -> Float[np.ndarray, "n 3"]:
    """Points that moved along with a mesh that was posed like another one. Metres.

    Args:
      vertices: of the skinned mesh, near the target already (rigidly aligned).
      target: the other mesh's vertices.
      points: on the surface of the skinned mesh, as dense as one likes.
      point_weights: their skinning weights.
      to_target: from vertices to those that correspond to the target's; None where they do.
    """
    return np.asarray(_turned(skinning, vertices, target, points, point_weights, to_target))


@jax.jit
def _turned(skinning, vertices, target, points, point_weights, to_target):
    origin = vertices.mean(axis=0)
    vertices_mm, target_mm = 1000 * (vertices - origin), 1000 * (target - origin)
    joints_mm = _einsum("jv,vd->jd", skinning.joint_regressor, vertices_mm)
    num_joints = len(skinning.parents)

    def moved(unknowns: Float[Array, "3*j+3"], points_mm, weights):
        turns, shift = unknowns[:-3].reshape(num_joints, 3), unknowns[-3:]
        local = jax.vmap(rotation_of_vector)(turns)
        rotations, joints = forward_kinematics(skinning.parents, joints_mm, local)
        skinned = linear_blend_skinning(points_mm, weights, joints_mm, rotations, joints)
        return skinned + _SHIFT_UNIT_MM * shift

    def residual(unknowns):
        own = moved(unknowns, vertices_mm, skinning.skin_weights)
        if to_target is not None:
            own = _einsum("tv,vd->td", to_target, own)
        gap = (own - target_mm) / jnp.sqrt(len(target))
        return jnp.concatenate([gap.ravel(), jnp.sqrt(_PRIOR_MM2) * unknowns])

    def improve(_, unknowns):
        jacobian, value = jax.jacfwd(residual)(unknowns), residual(unknowns)
        normal_matrix = _einsum("ri,rj->ij", jacobian, jacobian)
        step = jnp.linalg.solve(normal_matrix, _einsum("ri,r->i", jacobian, value))
        return unknowns - step * jnp.minimum(1, _GREATEST_STEP / jnp.abs(step).max())

    found = jax.lax.fori_loop(0, _STEPS, improve, jnp.zeros(3 * num_joints + 3))
    return moved(found, 1000 * (points - origin), point_weights) / 1000 + origin
