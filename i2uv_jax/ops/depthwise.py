"""Depthwise convolution: every channel with a kernel of its own."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def depthwise_conv2d(
    image: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c"],
    *,
    stride: int = 1,
    cpu_path: bool = False,
) -> Float[Array, "b out_h out_w c"]:
    """Convolves with "SAME" padding as TensorFlow counts it: the odd zero goes below and right.

    Jit-able. `cpu_path` sums shifted pictures instead, the same result many times faster under XLA
    on CPUs.
    """
    height, width, channels = kernel.shape
    padding = lax.padtype_to_pads(image.shape[1:3], (height, width), (stride, stride), "SAME")
    if not cpu_path:
        return lax.conv_general_dilated(
            image,
            kernel[:, :, None],
            window_strides=(stride, stride),
            padding=padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
        )
    padded = jnp.pad(image, ((0, 0), *padding, (0, 0)))
    rows, columns = (-(-side // stride) for side in image.shape[1:3])
    last_row, last_column = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    return sum(
        padded[:, y : y + last_row : stride, x : x + last_column : stride] * kernel[y, x]
        for y in range(height)
        for x in range(width)
    )
