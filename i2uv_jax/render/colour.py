"""Linear and sRGB-encoded colours. Pure and jit-able."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.imaging.luminance import REC_709_WEIGHTS

LUMINANCE_WEIGHTS = np.array(REC_709_WEIGHTS, np.float32)
"""Of linear RGB."""


def srgb_to_linear(colour: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Decodes sRGB (IEC 61966-2-1)."""
    return jnp.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(colour: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Encodes sRGB (IEC 61966-2-1); values below 0 count as 0."""
    colour = jnp.maximum(colour, 0)
    # The inner maximum keeps the unused branch finite at 0.
    # exp(log) is several times faster than a power on CPUs.
    curved = 1.055 * jnp.exp(jnp.log(jnp.maximum(colour, 0.0031308)) / 2.4) - 0.055
    return jnp.where(colour <= 0.0031308, 12.92 * colour, curved)


def luminance(colour: Float[Array, "*b 3"]) -> Float[Array, "*b"]:
    """Of linear RGB."""
    return colour @ LUMINANCE_WEIGHTS
