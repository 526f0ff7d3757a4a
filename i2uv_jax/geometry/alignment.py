"""Procrustes alignment of point sets. Pure and jit-able."""

import jax.numpy as jnp
from jaxtyping import Array, Float

_VARIANCE_EPSILON = 1e-20
"""Keeps the scale of coincident source points (0 / 0) finite: they align to the target's mean."""


def procrustes_align(
    source: Float[Array, "*b n 3"], target: Float[Array, "*b n 3"], *, scale: bool = True
) -> Float[Array, "*b n 3"]:
    """Source moved onto target by the best rotation (no reflection), translation and scale.

    Least-squares solution by the singular value decomposition of the covariance (Umeyama 1991,
    "Least-squares estimation of transformation parameters between two point patterns").
    """
    source_mean = source.mean(axis=-2, keepdims=True)
    target_mean = target.mean(axis=-2, keepdims=True)
    centred_source = source - source_mean
    centred_target = target - target_mean
    covariance = jnp.swapaxes(centred_target, -1, -2) @ centred_source
    u, singular, vt = jnp.linalg.svd(covariance)
    # A negative determinant means that the best orthogonal map is a reflection: give up the
    # direction that matters least instead.
    sign = jnp.sign(jnp.linalg.det(u) * jnp.linalg.det(vt))
    signs = jnp.stack([jnp.ones_like(sign), jnp.ones_like(sign), sign], axis=-1)
    rotation = (u * signs[..., None, :]) @ vt
    aligned = centred_source @ jnp.swapaxes(rotation, -1, -2)
    if scale:
        variance = jnp.sum(centred_source**2, axis=(-1, -2))
        factor = jnp.sum(singular * signs, axis=-1) / (variance + _VARIANCE_EPSILON)
        aligned = factor[..., None, None] * aligned
    return aligned + target_mean
