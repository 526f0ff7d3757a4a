"""Errors between predicted and true points, in the unit of the points. Pure and jit-able."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.alignment import procrustes_align


def point_distances(
    predicted: Float[Array, "*b n 3"], true: Float[Array, "*b n 3"]
) -> Float[Array, "*b n"]:
    """Euclidean distance of each pair of points."""
    return jnp.linalg.norm(predicted - true, axis=-1)


def mean_position_error(
    predicted: Float[Array, "*b n 3"], true: Float[Array, "*b n 3"]
) -> Float[Array, "*b"]:
    """Mean distance over the points: MPJPE for keypoints, MPVPE for vertices."""
    return point_distances(predicted, true).mean(axis=-1)


def aligned_position_error(
    predicted: Float[Array, "*b n 3"], true: Float[Array, "*b n 3"]
) -> Float[Array, "*b"]:
    """Mean distance after Procrustes alignment: PA-MPJPE for keypoints, PA-MPVPE for vertices."""
    return mean_position_error(procrustes_align(predicted, true), true)
