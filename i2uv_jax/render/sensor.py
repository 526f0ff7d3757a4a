"""What a camera does to a picture: blur, exposure, white balance, gamma, noise. Pure, jit-able."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.render.shading import sample_tints

_BLUR_RADIUS = 3


def apply_sensor(key: Array, image: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
    """A random sensor's rendition of an sRGB-encoded picture; values stay within 0 and 1."""
    blur_key, gain_key, balance_key, gamma_key, grey_key, noise_key = jax.random.split(key, 6)
    image = gaussian_blur(image, jax.random.uniform(blur_key, minval=0.2, maxval=1.2))
    gain = jnp.exp(0.18 * jax.random.normal(gain_key))
    balance = sample_tints(balance_key, 1)[0]
    gamma = jnp.exp(0.2 * jax.random.normal(gamma_key))
    # exp(log) is several times faster than a power on CPUs; the floor keeps it finite at black.
    image = jnp.exp(gamma * jnp.log(jnp.clip(image * gain * balance, 1e-4, 1)))
    saturation = jax.random.uniform(grey_key, minval=0.5, maxval=1.2)
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + saturation * (image - grey)
    level_key, noise_key = jax.random.split(noise_key)
    level = 0.05 * jax.random.uniform(level_key) ** 2
    return jnp.clip(image + level * jax.random.normal(noise_key, image.shape), 0, 1)


def gaussian_blur(
    image: Float[Array, "h w c"], sigma_px: Float[Array, ""]
) -> Float[Array, "h w c"]:
    """Separable Gaussian of up to 7 taps; borders repeat. `sigma_px` may be traced."""
    taps = jnp.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1)
    weights = jnp.exp(-0.5 * (taps / sigma_px) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(0, 0)] * 3
        padding[axis] = (_BLUR_RADIUS, _BLUR_RADIUS)
        padded = jnp.pad(image, padding, mode="edge")
        length = image.shape[axis]
        # Without the barrier the compiler works the whole picture so far out again for every tap.
        padded = jax.lax.optimization_barrier(padded)
        image = sum(
            weight * jax.lax.slice_in_dim(padded, start, start + length, axis=axis)
            for start, weight in enumerate(weights)
        )
    return image
