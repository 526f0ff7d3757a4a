"""The rigged hand as a function of one vector of free parameters, with its Jacobian.

The vector holds the joint angles that have room to move, then the wrist's three angles, then the
shape. Vertices are those of the hand, then those of the forearm, in the hand frame, metres.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from i2uv_jax.geometry.subdivision import GatherTable, subdivide_atlas
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import HandPose, PosedHand, pose_hand
from i2uv_jax.hand.pose_prior import (
    ANGLE_LIMITS,
    WRIST_LIMITS,
    forearm_rotation_from_angles,
    joint_rotations_from_angles,
)
from i2uv_jax.hand.shape_prior import MEAN_SHAPE, hand_length
from i2uv_jax.hand.skeleton import NUM_PHENOTYPES, NUM_SHAPE, SHAPE_NAMES

MEAN_LENGTH_M = 0.183
"""Mean of adults' straight length from the wrist to the middle finger's tip (`shape_prior`)."""

SIZE_INDEX = SHAPE_NAMES.index("size") - NUM_SHAPE
"""Of the hand's size in the vector."""

_ALL_LIMITS = np.concatenate([ANGLE_LIMITS.reshape(-1, 2), WRIST_LIMITS])
_IS_FREE = _ALL_LIMITS[:, 1] > _ALL_LIMITS[:, 0]
_NUM_JOINT_ANGLES = ANGLE_LIMITS.size // 2
NUM_ANGLES = int(_IS_FREE.sum())

_NUM_OWN = NUM_SHAPE - NUM_PHENOTYPES
_PHENOTYPE_LIMITS = np.array([(0, 1), (1 / 3, 1), (0, 1), (0, 1), (0, 1), (0, 1)])
_OFF_ANCHOR = 0.01
"""Phenotypes are interpolated piecewise; on an anchor itself the Jacobian means nothing, so neither
a start nor a limit may lie on one."""
LIMITS = np.concatenate(
    [
        _ALL_LIMITS[_IS_FREE],
        _PHENOTYPE_LIMITS + np.array([_OFF_ANCHOR, -_OFF_ANCHOR]),
        [(-2.5, 2.5)] * _NUM_OWN,
    ]
)
"""(parameters, 2): least and greatest value."""
LIMITS[SIZE_INDEX] = (-5.0, 4.0)
SPREAD = np.concatenate([np.full(NUM_ANGLES, 0.6), [0.3] * NUM_PHENOTYPES, [0.6] * _NUM_OWN])
"""How far a parameter may stray from its start before the prior costs 1."""
SPREAD[SIZE_INDEX] = 3.0


class HandParameters:
    """The forward model of one hand; compiles once."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand

        def vertices(parameters):
            posed = _pose(hand, parameters)
            return jnp.concatenate([posed.vertices, posed.forearm_vertices])

        def with_jacobian(parameters):
            return vertices(parameters), jax.jacfwd(vertices)(parameters)

        self._with_jacobian = jax.jit(with_jacobian)
        self._posed = jax.jit(lambda parameters: _pose(hand, parameters))
        self._length = jax.jit(lambda shape: hand_length(hand, shape))

    def vertices_and_jacobian(
        self, parameters: Float[np.ndarray, "p"]
    ) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v 3 p"]]:
        """All vertices and how they move with each parameter."""
        values, jacobian = self._with_jacobian(jnp.asarray(parameters, jnp.float32))
        return np.asarray(values, np.float64), np.asarray(jacobian)

    def posed(self, parameters: Float[np.ndarray, "p"]) -> PosedHand:
        """The hand of a vector, as NumPy arrays."""
        return jax.tree.map(np.asarray, self._posed(jnp.asarray(parameters, jnp.float32)))

    def length_m(self, parameters: Float[np.ndarray, "p"]) -> float:
        """Straight length from the wrist to the middle finger's tip."""
        return float(self._length(jnp.asarray(parameters[-NUM_SHAPE:], jnp.float32)))

    def with_length(
        self, parameters: Float[np.ndarray, "p"], length_m: float
    ) -> Float[np.ndarray, "p"]:
        """The same hand with another length; `size` makes it as good as linear."""
        changed = np.array(parameters, np.float64)
        for _ in range(3):
            plus = changed.copy()
            plus[SIZE_INDEX] += 0.1
            slope = (self.length_m(plus) - self.length_m(changed)) / 0.1
            changed[SIZE_INDEX] += (length_m - self.length_m(changed)) / slope
        return changed

    def from_angles(self, angles: Float[np.ndarray, "j 3"]) -> Float[np.ndarray, "p"]:
        """The mean adult's vector in a pose, the wrist straight."""
        shape = MEAN_SHAPE + _OFF_ANCHOR * (np.arange(NUM_SHAPE) < NUM_PHENOTYPES)
        return self.with_length(np.concatenate([free_angles(angles), shape]), MEAN_LENGTH_M)


def free_angles(angles: Float[np.ndarray, "j 3"]) -> Float[np.ndarray, "a"]:
    """The part of the vector that holds angles, the wrist straight."""
    return np.concatenate([np.reshape(angles, -1), np.zeros(3)])[_IS_FREE]


def split(
    parameters: Float[np.ndarray, "p"],
) -> tuple[Float[np.ndarray, "j 3"], Float[np.ndarray, "3"], Float[np.ndarray, "s"]]:
    """Joint angles and the wrist's angles (radians, as `hand.pose_prior`), and the shape."""
    every = np.zeros(len(_ALL_LIMITS))
    every[_IS_FREE] = parameters[:NUM_ANGLES]
    return (
        every[:_NUM_JOINT_ANGLES].reshape(-1, 3),
        every[_NUM_JOINT_ANGLES:],
        np.asarray(parameters[NUM_ANGLES:]),
    )


def _pose(hand, parameters):
    every = jnp.zeros(len(_ALL_LIMITS)).at[np.flatnonzero(_IS_FREE)].set(parameters[:NUM_ANGLES])
    rotations = joint_rotations_from_angles(hand, every[:_NUM_JOINT_ANGLES].reshape(-1, 3))
    forearm = forearm_rotation_from_angles(hand, every[_NUM_JOINT_ANGLES:])
    return pose_hand(hand, parameters[NUM_ANGLES:], HandPose(rotations, forearm))


class SmoothMesh:
    """The subdivided hand with the forearm as it is: fine vertices from those of the rig."""

    def __init__(self, hand: Hand, levels: int) -> None:
        subdivision = subdivide_atlas(hand.atlas, levels)
        self.num_hand_vertices = subdivision.atlas.num_vertices
        smooth = _sparse(subdivision.limit, hand.num_vertices) @ _sparse(
            subdivision.counter, hand.num_vertices
        )
        self.matrix = sparse.block_diag(
            [smooth, sparse.identity(hand.num_forearm_vertices)], format="csr"
        )
        """(fine vertices, vertices of the rig)."""
        self.hand_faces: Int[np.ndarray, "f 3"] = subdivision.atlas.faces
        shift = self.num_hand_vertices - hand.num_vertices
        forearm = hand.forearm_faces
        # The coarse vertices come first in the fine mesh, so that the shared ring keeps its place.
        forearm = np.where(forearm >= hand.num_vertices, forearm + shift, forearm)
        self.faces: Int[np.ndarray, "g 3"] = np.concatenate([self.hand_faces, forearm])


def _sparse(table: GatherTable, num_columns: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(table.columns)), table.columns.shape[1])
    entries = (table.weights.ravel().astype(np.float64), (rows, table.columns.ravel()))
    return sparse.csr_matrix(entries, shape=(len(table.columns), num_columns))
