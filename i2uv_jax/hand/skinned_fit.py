"""The hand that a UV position map means: the mean hand's surface, posed after the map.

A network says every texel by itself, so its surface is rough, and torn where the chart's seams
meet. What it says of a whole segment of a finger is better than what it says of any texel there. So
each joint's part of the mean hand is turned, scaled and moved to where the map has it, by least
squares, and the parts are blended by the hand's skin weights (linear blend skinning). The surface
is smooth and joined, and can be had at any number of texels.

All but the rotations is linear in the map: one product of matrices before them and one behind.
Jit-able, differentiable, and of plain operations alone, which every runtime has.
"""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.uv_map import build_tables, texel_values
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mean_hand import mean_uv_map

_SQUARINGS = 10
"""An eigenvalue that is 1 % smaller than the largest then weighs 1e-4 of it."""

_EPSILON = 1e-12


class JointParts(NamedTuple):
    """What every joint moves of the mean hand: the tables of a fit."""

    shares: Float[np.ndarray, "j t"]
    """How much each texel of the map that is read counts for each part's place, by its skin
    weights; inside the chart alone, rows sum to 1."""
    moments: Float[np.ndarray, "j 3 t"]
    """The shares times where the texel is in its part: takes points to their covariance with the
    mean hand's."""
    variance: Float[np.ndarray, "j"]
    """Of the mean hand's own points, likewise weighted."""
    centres: Float[np.ndarray, "j 3"]
    """Of the mean hand's parts."""
    skin: Float[np.ndarray, "n j"]
    """Skin weights of the texels of the map that is written; rows sum to 1."""
    points: Float[np.ndarray, "n 3"]
    """The mean hand, in that map's texels."""


def skinned_fit(uv_map: Float[Array, "b m m 3"], size: int) -> Float[Array, "b size size 3"]:
    """The UV map of the mean hand, posed after a map; turned, moved or scaled maps give the same
    hand, turned, moved or scaled."""
    read_size = uv_map.shape[1]
    parts, points = joint_parts(read_size, size), uv_map.reshape(-1, read_size**2, 3)
    # Parts are small beside their distance from the origin: less is rounded away.
    middle = points.mean(axis=1, keepdims=True)
    points = points - middle
    place = _product("jt,btc->bjc", parts.shares, points)
    covariance = _product("jdt,btc->bjcd", parts.moments, points)
    rotation = nearest_rotation(covariance)
    scale = (rotation * covariance).sum(axis=(-1, -2)) / parts.variance
    turn = scale[..., None, None] * rotation
    shift = place - (turn * parts.centres[:, None]).sum(axis=-1)
    blended = _product("nj,bjcd->bncd", parts.skin, turn)
    skinned = (blended * parts.points[:, None]).sum(axis=-1)
    skinned += _product("nj,bjc->bnc", parts.skin, shift)
    return (skinned + middle).reshape(-1, size, size, 3)


def nearest_rotation(covariance: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3 3"]:
    """The rotation R with the largest trace(R^T covariance): the orthogonal Procrustes problem
    without reflections.

    R's quaternion is the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix (Horn
    1987, "Closed-form solution of absolute orientation using unit quaternions"). That matrix,
    shifted to have no negative eigenvalue and squared again and again, becomes the quaternion's
    product with itself, of which R is a linear function. Where several rotations are equally near,
    the result is a mean of them, which is no rotation.
    """
    matrix = _product("abcd,...cd->...ab", _HORN, covariance)
    norm = jnp.sqrt((matrix * matrix).sum(axis=(-1, -2), keepdims=True) + _EPSILON**2)
    power = matrix / norm + np.eye(4, dtype=np.float32)
    for _ in range(_SQUARINGS):
        # Small products as sums, like `hand.model.matmul3`.
        power = (power[..., :, :, None] * power[..., None, :, :]).sum(axis=-2)
        trace = (power * np.eye(4, dtype=np.float32)).sum(axis=(-1, -2), keepdims=True)
        power = power / trace
    return _product("abcd,...ab->...cd", _HORN, power)


def _horn_tensor() -> Float[np.ndarray, "4 4 3 3"]:
    """H with R[c, d] = sum over a and b of H[a, b, c, d] q[a] q[b], the rotation of the unit
    quaternion q, its real part first."""
    tensor = np.zeros((4, 4, 3, 3), np.float32)
    real, (x, y, z) = 0, range(1, 4)
    for c in range(3):
        tensor[real, real, c, c] = 1
        for imaginary in (x, y, z):
            tensor[imaginary, imaginary, c, c] = 1 if imaginary == c + 1 else -1
    for c, d, e in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        for one, other in ((c, d), (d, c)):
            tensor[c + 1, d + 1, one, other] = tensor[d + 1, c + 1, one, other] = 1
        tensor[real, e + 1, c, d] = tensor[e + 1, real, c, d] = -1
        tensor[real, e + 1, d, c] = tensor[e + 1, real, d, c] = 1
    return tensor


_HORN = _horn_tensor()


@lru_cache
def joint_parts(read_size: int, size: int) -> JointParts:
    """For maps of `read_size` x `read_size` texels to be read, of `size` x `size` to be written."""
    points, skin = _mean_points(read_size), _skin_weights(read_size)
    shares = skin.T * build_tables(load_hand().atlas, read_size).texel_mask.reshape(-1)
    shares /= shares.sum(axis=1, keepdims=True)
    centres = shares @ points
    places = points - centres[:, None]
    moments = np.swapaxes(shares[..., None] * places, 1, 2)
    variance = (shares * (places**2).sum(axis=-1)).sum(axis=1)
    written = _skin_weights(size), _mean_points(size)
    arrays = (shares, moments, variance, centres, *written)
    return JointParts(*(array.astype(np.float32) for array in arrays))


def _mean_points(size: int) -> Float[np.ndarray, "t 3"]:
    return mean_uv_map(size).reshape(-1, 3).astype(np.float64)


def _skin_weights(size: int) -> Float[np.ndarray, "t j"]:
    hand = load_hand()
    weights = texel_values(build_tables(hand.atlas, size), hand.skin_weights)
    return weights.reshape(size**2, -1).astype(np.float64)


def _product(equation, *arrays):
    return jnp.einsum(equation, *arrays, precision="highest")
