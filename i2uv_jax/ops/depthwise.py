"""Depthwise convolution: every channel with a kernel of its own."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


@partial(jax.jit, static_argnames=("stride", "cpu_path"))
def depthwise_conv2d(
    image: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c"],
    *,
    stride: int = 1,
    cpu_path: bool = False,
) -> Float[Array, "b out_h out_w c"]:
    """Convolves with "SAME" padding as TensorFlow counts it: the odd zero goes below and right.

    Jit-able; under `jit` itself, so that a network's equal layers are traced once. `cpu_path` sums
    shifted pictures instead, the same result many times faster under XLA on CPUs.
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
    batch, *_ = image.shape
    rows, columns = (-(-side // stride) for side in image.shape[1:3])
    last_row, last_column = (rows - 1) * stride + 1, (columns - 1) * stride + 1

    def shifted(y: int, x: int) -> Float[Array, "b out_h out_w c"]:
        # By `lax`, as indexing by `jnp` takes most of the time that tracing a network does.
        start, end = (0, y, x, 0), (batch, y + last_row, x + last_column, channels)
        return lax.slice(padded, start, end, (1, stride, stride, 1))

    weights = kernel.reshape(height * width, 1, 1, 1, channels)
    return sum(
        shifted(y, x) * weight
        for (y, x), weight in zip(np.ndindex(height, width), weights, strict=True)
    )
