"""Scores of predicted against true points, in the unit of the points. Pure and jit-able."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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


def f_score(
    predicted: Float[Array, "n 3"], true: Float[Array, "m 3"], threshold: float
) -> Float[Array, ""]:
    """Harmonic mean of precision and recall of two point sets at a distance.

    Precision is the share of predicted points with a true one at most `threshold` away, recall the
    reverse (Knapitsch et al., Tanks and Temples, 2017). 0 where both are 0. Takes n m floats of
    memory.
    """
    # Differences, not the expanded square: that would lose the millimetres of metres.
    distances = jnp.linalg.norm(predicted[:, None] - true[None], axis=-1)
    precision = jnp.mean(distances.min(axis=1) <= threshold)
    recall = jnp.mean(distances.min(axis=0) <= threshold)
    total = precision + recall
    return jnp.where(total > 0, 2 * precision * recall / jnp.where(total > 0, total, 1), 0.0)
