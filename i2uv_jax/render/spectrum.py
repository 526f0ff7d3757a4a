"""Low-frequency amplitudes of one picture with the phases of another.

Fourier domain adaptation (Yang and Soatto 2020, arXiv 2004.05498): amplitudes of the lowest
frequencies carry light, colour and contrast, phases the content; exchanging the former makes
renders look as if taken where another picture was. Only (2 c + 1)^2 frequencies are touched, so
two small products with sines and cosines replace the whole transform. Pure, jit-able.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_EPSILON = 1e-12


def mix_amplitudes(
    image: Float[Array, "n n 3"],
    reference: Float[Array, "m m 3"],
    share: Float[Array, ""] | float,
    *,
    cycles: int,
) -> Float[Array, "n n 3"]:
    """The picture with part of the amplitudes of `reference` up to `cycles` per side.

    The two may differ in size: frequencies count cycles per picture side. The result can leave 0
    to 1 a little.

    Args:
      share: 0 leaves the picture, 1 takes the reference's amplitudes wholly.
      cycles: highest frequency along each axis that is changed; 0 is the mean colour alone.
    """
    cycles = min(cycles, (min(image.shape[0], reference.shape[0]) - 1) // 2)
    own, other = _low_frequencies(image, cycles), _low_frequencies(reference, cycles)
    amplitude = jnp.abs(own)
    # A frequency without amplitude has no phase: it stays as it is.
    ratio = jnp.where(amplitude > _EPSILON, jnp.abs(other) / jnp.maximum(amplitude, _EPSILON), 1)
    change = own * share * (ratio - 1)
    # The real part of change * exp(i (a + b)), as products of cosines and sines of a and b.
    real, imaginary = change.real, change.imag
    mixed = jnp.concatenate(
        [
            jnp.concatenate([real, -imaginary], axis=1),
            jnp.concatenate([-imaginary, -real], axis=1),
        ]
    )
    waves = _waves(image.shape[0], cycles)
    return image + jnp.einsum("ay,abc,bx->yxc", waves, mixed, waves)


def _waves(size: int, cycles: int) -> Float[np.ndarray, "2f n"]:
    """Cosines, then sines, of 2 pi f x / n for f from -cycles to cycles.

    Real numbers, because complex products are slow on CPUs.
    """
    angle = 2 * np.pi * np.outer(np.arange(-cycles, cycles + 1), np.arange(size)) / size
    return np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32)


def _low_frequencies(picture, cycles):
    """Fourier coefficients (f, f, 3), as means over the picture."""
    waves, count = _waves(picture.shape[0], cycles), 2 * cycles + 1
    products = jnp.einsum("ay,yxc,bx->abc", waves, picture, waves)
    products /= picture.shape[0] * picture.shape[1]
    # exp(-i (a + b)) by the addition theorems.
    real = products[:count, :count] - products[count:, count:]
    imaginary = -products[:count, count:] - products[count:, :count]
    return real + 1j * imaginary
