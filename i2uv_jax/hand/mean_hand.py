"""The mean hand, also as a UV position map: where networks start from."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles
from i2uv_jax.hand.shape_prior import MEAN_SHAPE, hand_length
from i2uv_jax.hand.skeleton import JOINT_NAMES

_FLEXION_DEGREES = {"mcp": 35.0, "pip": 40.0, "dip": 26.0, "ip": 15.0, "cmc": 0.0, "wrist": 0.0}


@lru_cache
def mean_uv_map(size: int) -> Float[np.ndarray, "size size 3"]:
    """UV map of the default hand's `mean_vertices`; also while a caller is being traced."""
    hand = load_hand()
    with jax.ensure_compile_time_eval():
        return np.asarray(uv_map_from_vertices(build_tables(hand.atlas, size), hand.mean_vertices))


def mean_vertices(hand: Hand) -> Float[jax.Array, "v 3"]:
    """A hand of mean shape, half bent, in the hand frame: what assets keep. Jit-able.

    Its centre of mass (of the vertices) is the origin, its length from wrist to middle finger tip,
    straightened, the unit.
    """
    shape = jnp.asarray(MEAN_SHAPE, jnp.float32)
    rotations = joint_rotations_from_angles(hand, _half_bent())
    vertices = pose_hand(hand, shape, HandPose(rotations, jnp.eye(3))).vertices
    return (vertices - vertices.mean(axis=0)) / hand_length(hand, shape)


def _half_bent() -> Float[jax.Array, "j 3"]:
    """Between an open hand and a fist: (flexion, abduction, twist) of each joint, radians."""
    flexion = [_FLEXION_DEGREES[name.split("_")[-1]] for name in JOINT_NAMES]
    return jnp.deg2rad(jnp.array(flexion))[:, None] * jnp.array([1.0, 0.0, 0.0])
