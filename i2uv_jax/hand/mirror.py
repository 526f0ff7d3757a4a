"""The left hand: the right hand seen in a mirror.

Left hands have no asset of their own. In the hand frame (+x towards the thumb of the right hand)
a mirror at x = 0 turns one into the other, vertex by vertex and keypoint by keypoint; in the camera
frame the same sign change mirrors the picture. Triangles change their sense of turning.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)


def mirror_points(points: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Points of the other hand: x changes its sign. Applied twice, nothing changes."""
    return points * jnp.asarray(MIRROR, points.dtype)


def mirror_rotations(rotations: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3 3"]:
    """Rotations that move mirrored points as the given ones move the originals."""
    return rotations * jnp.asarray(np.outer(MIRROR, MIRROR), rotations.dtype)


def mirror_faces(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "f 3"]:
    """Triangles of the other hand, again counter-clockwise seen from outside."""
    return faces[:, ::-1]
