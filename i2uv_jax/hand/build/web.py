"""Pose correctives of the first web: what skinning lacks between a thumb that closes and the palm.

Over the 15 mm from the thumb to the index's metacarpal, skinning folds the web like paper where the
flesh of a real one bulges. So the web is made fair: of all surfaces that leave the skin around it
untouched, the one of least bending (a bi-Laplacian). Applied to posed hands, less what it would do
to the hand at rest, that says how far the web should move; the move, carried back to the rest pose,
is fitted with the thumb's three flexion features, which vanish where the thumb is at rest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.build.surface import Surface
from i2uv_jax.hand.model import (
    HandPose,
    flexion_features,
    forward_kinematics,
    pose_hand,
    rest_hand,
)
from i2uv_jax.hand.pose_prior import (
    ANGLE_LIMITS,
    joint_rotations_from_angles,
    sample_angles,
    thumb_before_palm,
)
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.hand.skeleton import FINGER_JOINTS, JOINT_NAMES

_NUM_POSES = 600
_SHARES = (0.05, 0.97)
"""How much of the thumb's motion a vertex of the web takes part in."""
_LEAST_Y_M = 0.0575
"""The web lies beyond: along the hand from the wrist, nearer to which are ball and palm."""
_RIDGE = 3e-5
"""Keeps shapes small that the poses hardly tell apart, relative to features of about 0.1."""


def web_correctives(hand: Hand) -> np.ndarray:
    """Offsets (c, v, 3), metres, to add to the pose correctives of a hand without them."""
    thumb = FINGER_JOINTS.index(JOINT_NAMES.index("thumb_cmc"))
    rest = rest_hand(hand, jnp.asarray(MEAN_SHAPE, jnp.float32))

    def pose(angles):
        local = joint_rotations_from_angles(hand, angles)
        posed = pose_hand(hand, jnp.asarray(MEAN_SHAPE, jnp.float32), HandPose(local, jnp.eye(3)))
        world, _ = forward_kinematics(hand.joint_parents, rest.joints, local)
        blended = jnp.einsum("vj,jab->vab", hand.skin_weights, world)
        return posed.vertices, blended, flexion_features(hand, local).reshape(3, -1)[:, thumb]

    angles = jax.vmap(_sample_angles)(jax.random.split(jax.random.key(5), _NUM_POSES))
    vertices, blended, features = (
        np.asarray(part, np.float64) for part in jax.jit(jax.vmap(pose))(angles)
    )
    rest_vertices = np.asarray(rest.vertices, np.float64)
    surface = Surface(rest_vertices, hand.faces)
    web = np.flatnonzero(_is_web(hand, surface))
    fair = _fairing(surface, web)
    moved = fair(vertices) - vertices[:, web]
    moved -= np.einsum("nvab,vb->nva", blended[:, web], fair(rest_vertices) - rest_vertices[web])

    shapes = np.zeros((3, len(FINGER_JOINTS), hand.num_vertices, 3))
    for column, vertex in enumerate(web):
        design = np.einsum("nab,nk->nakb", blended[:, vertex], features).reshape(-1, 9)
        normal = design.T @ design / len(vertices) + _RIDGE * np.eye(9)
        right = design.T @ moved[:, column].reshape(-1) / len(vertices)
        shapes[:, thumb, vertex] = np.linalg.solve(normal, right).reshape(3, 3)
    return shapes.reshape(-1, hand.num_vertices, 3)


def _sample_angles(key) -> jax.Array:
    """Like the pose prior's, with the thumb anywhere in its range: no direction is left to chance.

    The prior's thumbs mostly close; fitted to them alone, the shapes would spoil an open one.
    """
    pose_key, thumb_key = jax.random.split(key)
    thumb = JOINT_NAMES.index("thumb_cmc")
    least, most = jnp.moveaxis(jnp.asarray(ANGLE_LIMITS[thumb], jnp.float32), -1, 0)
    drawn = jax.random.uniform(thumb_key, (3,), minval=least, maxval=most)
    return thumb_before_palm(sample_angles(pose_key).at[thumb].set(drawn))


def _is_web(hand: Hand, surface: Surface) -> np.ndarray:
    """The vertices (v,) between thumb and index metacarpal, and those beside them."""
    columns = [JOINT_NAMES.index(f"thumb_{joint}") for joint in ("cmc", "mcp", "ip")]
    share = hand.skin_weights[:, columns].sum(1)
    web = (share > _SHARES[0]) & (share < _SHARES[1]) & (surface.vertices[:, 1] > _LEAST_Y_M)
    web &= hand.skin_weights[:, columns[-1]] < 0.01
    return (surface.smoothing() @ web > 0) | web


def _fairing(surface: Surface, free: np.ndarray):
    """Function that gives the free vertices' fair places from (..., v, 3) of all."""
    laplacian = surface.laplacian()
    bending = sparse.csr_matrix(laplacian.T @ laplacian)
    fixed = np.setdiff1d(np.arange(len(surface.vertices)), free)
    inner, outer = bending[free][:, free], bending[free][:, fixed]
    operator = -spsolve(sparse.csc_matrix(inner), sparse.csc_matrix(outer)).toarray()
    return lambda vertices: np.einsum("io,...od->...id", operator, vertices[..., fixed, :])
