"""From a predicted UV map to points on the picture and in millimetres.

With f and p the focal length and principal point of the crop's camera (crop units), a map's
(x, y, z) stands for the point of the camera frame, in units of Z_wrist / f,

    X = (x - p_x) (1 + z / f)      Y = (y - p_y) (1 + z / f)      Z = z + f

which is `geometry.camera.from_crop_space` times f / Z_wrist. Depth therefore enters only through
1 / f, and 1 / f = 0 is weak perspective: one formula, and one compiled function, serves both.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES, WRIST

_MIN_LENGTH = 1e-6
"""Shortest sum of bone lengths (crop sides) that is scaled to a hand; keeps the result finite."""


def lift(
    points_crop: Float[Array, "b n 3"],
    inverse_focal: Float[Array, "b"],
    principal: Float[Array, "b 2"],
) -> Float[Array, "b n 3"]:
    """Points of a UV map to the camera frame, up to scale, depth relative to the wrist's."""
    stretch = 1 + points_crop[..., 2:] * inverse_focal[:, None, None]
    plane = (points_crop[..., :2] - principal[:, None, :]) * stretch
    return jnp.concatenate([plane, points_crop[..., 2:]], axis=-1)


def drop(
    points: Float[Array, "b n 3"], inverse_focal: Float[Array, "b"], principal: Float[Array, "b 2"]
) -> Float[Array, "b n 2"]:
    """Projects lifted points to crop coordinates: the inverse of `lift` without the depth."""
    stretch = 1 + points[..., 2:] * inverse_focal[:, None, None]
    return points[..., :2] / stretch + principal[:, None, :]


def hand_scale(keypoints: Float[Array, "b 21 3"], bone_length: float) -> Float[Array, "b"]:
    """What lifted points are multiplied with such that the 20 bones sum up to `bone_length`."""
    parents, children = jnp.array(KEYPOINT_EDGES).T
    bones = keypoints[:, children] - keypoints[:, parents]
    total = jnp.linalg.norm(bones, axis=-1).sum(axis=-1)
    return bone_length / jnp.maximum(total, _MIN_LENGTH)


def scale_to_hand(
    points: Float[Array, "b n 3"], keypoints: Float[Array, "b 21 3"], bone_length: float
) -> Float[Array, "b n 3"]:
    """Points relative to the wrist, scaled such that the 20 bones sum up to `bone_length`."""
    scale = hand_scale(keypoints, bone_length)
    return (points - keypoints[:, WRIST, None]) * scale[:, None, None]
