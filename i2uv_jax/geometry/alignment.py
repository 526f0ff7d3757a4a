"""Alignment of point sets. Pure and jit-able."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

_VARIANCE_EPSILON = 1e-20
"""Keeps the scale of coincident source points (0 / 0) finite: they align to the target's mean."""

_WEIGHT_EPSILON = 1e-6
"""Keeps the shares of points without any weight (0 / 0) finite."""

_matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


@struct.dataclass
class Alignment:
    """aligned = scale * rotation @ (point - source_mean) + target_mean."""

    scale: Float[Array, "*b"]
    rotation: Float[Array, "*b 3 3"]
    """Orthogonal; its determinant is 1 unless reflections were allowed."""
    source_mean: Float[Array, "*b 1 3"]
    target_mean: Float[Array, "*b 1 3"]

    def __call__(self, points: Float[Array, "*b n 3"]) -> Float[Array, "*b n 3"]:
        """Points that moved along with the source."""
        turned = _matmul(points - self.source_mean, jnp.swapaxes(self.rotation, -1, -2))
        return self.scale[..., None, None] * turned + self.target_mean


def align(
    source: Float[Array, "*b n 3"],
    target: Float[Array, "*b n 3"],
    *,
    weights: Float[Array, "n"] | None = None,
    scale: bool = True,
    reflect: bool = False,
) -> Alignment:
    """The rotation, translation and scale that bring source nearest to target.

    Least-squares solution by the singular value decomposition of the covariance (Umeyama 1991,
    "Least-squares estimation of transformation parameters between two point patterns"). Points that
    all coincide align to the target's mean; NaN in a set gives NaN for that set alone.

    Args:
      weights: how much each point counts, from 0, None counts all alike.
      scale: also scale; otherwise it is 1.
      reflect: allow reflections (the orthogonal Procrustes problem, Schönemann 1966).
    """
    shares = 1 / source.shape[-2]
    if weights is not None:
        shares = (weights / jnp.maximum(weights.sum(), _WEIGHT_EPSILON))[:, None]
    source_mean = jnp.sum(shares * source, axis=-2, keepdims=True)
    target_mean = jnp.sum(shares * target, axis=-2, keepdims=True)
    centred_source = source - source_mean
    covariance = _matmul(jnp.swapaxes(target - target_mean, -1, -2), shares * centred_source)
    u, singular, vt = jnp.linalg.svd(covariance)
    # A negative determinant means that the best orthogonal map is a reflection: give up the
    # direction that matters least instead.
    sign = jnp.sign(jnp.linalg.det(u) * jnp.linalg.det(vt))
    sign = jnp.ones_like(sign) if reflect else sign
    signs = jnp.stack([jnp.ones_like(sign), jnp.ones_like(sign), sign], axis=-1)
    factor = jnp.ones_like(sign)
    if scale:
        variance = jnp.sum(shares * centred_source**2, axis=(-1, -2))
        factor = jnp.sum(singular * signs, axis=-1) / (variance + _VARIANCE_EPSILON)
    return Alignment(factor, _matmul(u * signs[..., None, :], vt), source_mean, target_mean)


def procrustes_align(
    source: Float[Array, "*b n 3"],
    target: Float[Array, "*b n 3"],
    *,
    scale: bool = True,
    reflect: bool = False,
) -> Float[Array, "*b n 3"]:
    """Source moved onto target by `align`; no reflection unless it is asked for."""
    return align(source, target, scale=scale, reflect=reflect)(source)


def scale_and_shift(
    source: Float[Array, "*b n 3"],
    target: Float[Array, "*b n 3"],
    *,
    root: int,
    other: int,
) -> Float[Array, "*b n 3"]:
    """Source with point `root` where the target's is, and as far from point `other`.

    The scale-translation alignment of HO-3D's evaluation; like there, a source whose
    two points coincide is scaled by the distance between the target's.
    """

    def length(points):
        return jnp.linalg.norm(points[..., other, :] - points[..., root, :], axis=-1)

    own = length(source)
    factor = jnp.where(own > 0, length(target) / jnp.where(own > 0, own, 1), length(target))
    moved = factor[..., None, None] * (source - source[..., root, None, :])
    return moved + target[..., root, None, :]
