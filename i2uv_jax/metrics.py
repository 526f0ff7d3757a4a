"""Scores of predicted against true points, in the unit of the points. Pure and jit-able.

Distances from surfaces, which need a search tree, are in `geometry/surface.py`.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from i2uv_jax.geometry.alignment import procrustes_align


def point_distances(
    predicted: Float[Array, "*b n d"], true: Float[Array, "*b n d"]
) -> Float[Array, "*b n"]:
    """Euclidean distance of each pair of points, in space or (2D keypoint error) in a picture."""
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


def share_within(
    errors: Float[Array, "*n"], thresholds: Float[Array, "t"], mask: Bool[Array, "*n"] | None = None
) -> Float[Array, "t"]:
    """Share of all errors that are at most each threshold: the PCK curve of keypoints.

    Args:
      errors: NaN counts as above every threshold: something that was not found.
      mask: which errors count; all of them for None. Of none at all the share is NaN.
    """
    errors = jnp.ravel(errors)
    counts = jnp.ones_like(errors, bool) if mask is None else jnp.ravel(mask)
    within = (errors[:, None] <= thresholds) & counts[:, None]
    return within.sum(axis=0) / counts.sum()


def area_under_curve(shares: Float[Array, "t"], thresholds: Float[Array, "t"]) -> Float[Array, ""]:
    """Mean height of a curve over its thresholds, by the trapezoidal rule: 1 where all is 1."""
    return jnp.trapezoid(shares, thresholds) / (thresholds[-1] - thresholds[0])


def nearest_distances(
    points: Float[Array, "*b n 3"], others: Float[Array, "*b m 3"]
) -> tuple[Float[Array, "*b n"], Float[Array, "*b m"]]:
    """Distance of each point to the nearest of the others, and the reverse; NaN if any is NaN.

    Takes n m floats of memory for each pair of sets.
    """
    # Differences, not the expanded square: that would lose the millimetres of metres. Written out
    # by axis, which XLA fuses with the minimum that follows.
    squared = sum(
        (points[..., :, None, axis] - others[..., None, :, axis]) ** 2 for axis in range(3)
    )
    return jnp.sqrt(squared.min(axis=-1)), jnp.sqrt(squared.min(axis=-2))


def f_scores(
    predicted: Float[Array, "*b n 3"], true: Float[Array, "*b m 3"], thresholds: Sequence[float]
) -> Float[Array, "*b t"]:
    """Harmonic mean of precision and recall of two point sets at each distance.

    Precision is the share of predicted points with a true one nearer than the threshold, recall the
    reverse (Knapitsch et al., Tanks and Temples, 2017; nearer, not at most as near, as in the
    official scripts of FreiHAND and HO-3D). 0 where both are 0, and where a point is NaN.
    """
    to_true, to_predicted = nearest_distances(predicted, true)
    limits = jnp.asarray(thresholds)
    precision = jnp.mean(to_true[..., None, :] < limits[:, None], axis=-1)
    recall = jnp.mean(to_predicted[..., None, :] < limits[:, None], axis=-1)
    total = precision + recall
    return jnp.where(total > 0, 2 * precision * recall / jnp.where(total > 0, total, 1), 0.0)


def acceleration(points: Float[Array, "t n 3"], frames_per_second: float) -> Float[Array, "t-2 n"]:
    """Length of each point's acceleration in a sequence, by second differences: unit / s^2.

    Its mean is a sequence's jitter where the hand itself hardly accelerates.
    """
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    return jnp.linalg.norm(second, axis=-1) * frames_per_second**2


def acceleration_error(
    predicted: Float[Array, "t n 3"], true: Float[Array, "t n 3"], frames_per_second: float
) -> Float[Array, "t-2 n"]:
    """Length of the difference of both accelerations (Kanazawa et al. 2019), unit / s^2."""
    return acceleration(predicted - true, frames_per_second)
