"""2-D convolution with explicit padding, channels last."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

STEM_MAX_CHANNELS = 4
"""Above it vector units are busy anyway, and rearranging pixels no longer pays."""

TINY_OUTPUT_PIXELS = 9
"""Up to this many pixels XLA's CPU convolution does not take its fast path."""


def conv2d(
    image: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c d"],
    *,
    stride: int = 1,
    cpu_path: bool = False,
) -> Float[Array, "b out_h out_w d"]:
    """Convolves with zero padding of (k - 1) // 2 on every side; keeps the dtype. Jit-able.

    The padding is explicit because "SAME" pads stride-2 convolutions unevenly, unlike PyTorch.
    `cpu_path` gives the same result faster under XLA on CPUs: 1x1 convolutions become one matrix
    product (ResNet-50 trains 1.8 times faster), so do convolutions of maps of a few pixels (10
    times faster at 2 x 2), and a network's stem, a stride-2 convolution of a few channels, moves
    blocks of 2 x 2 pixels into the channels (forward 3 times faster).
    """
    kernel_height, kernel_width, in_channels, out_channels = kernel.shape
    if image.shape[-1] != in_channels:
        raise ValueError(f"image: expected {in_channels} channels, got shape {image.shape}")
    if cpu_path and (kernel_height, kernel_width) == (1, 1):
        image = image[:, ::stride, ::stride]
        product = image.reshape(-1, in_channels) @ kernel.reshape(in_channels, out_channels)
        return product.reshape(*image.shape[:-1], out_channels)
    if cpu_path and stride == 2 and in_channels <= STEM_MAX_CHANNELS and _is_stem(image, kernel):
        return _space_to_depth_conv(image, kernel)
    out_pixels = -(-image.shape[1] // stride) * -(-image.shape[2] // stride)
    if cpu_path and out_pixels <= TINY_OUTPUT_PIXELS and kernel_height % 2 and kernel_width % 2:
        return _patches_conv(image, kernel, stride)
    padding = [((k - 1) // 2, (k - 1) // 2) for k in (kernel_height, kernel_width)]
    return lax.conv_general_dilated(
        image,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _is_stem(image: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"]) -> bool:
    sides_even = image.shape[1] % 2 == 0 and image.shape[2] % 2 == 0
    # (k - 1) / 2 odd, so that the kernel with one leading zero starts at an even pixel.
    return sides_even and kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 4 == 3


def _patches_conv(
    image: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], stride: int
) -> Float[Array, "b out_h out_w d"]:
    """Convolution as one matrix product of every output's window, written out, with the kernel."""
    kernel_height, kernel_width, _, out_channels = kernel.shape
    rows, columns = -(-image.shape[1] // stride), -(-image.shape[2] // stride)
    pad_y, pad_x = (kernel_height - 1) // 2, (kernel_width - 1) // 2
    padded = jnp.pad(image, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    windows = [
        padded[
            :, y : y + (rows - 1) * stride + 1 : stride, x : x + (columns - 1) * stride + 1 : stride
        ]
        for y in range(kernel_height)
        for x in range(kernel_width)
    ]
    windows = jnp.concatenate(windows, axis=-1).reshape(-1, kernel[..., 0].size)
    product = windows @ kernel.reshape(-1, out_channels)
    return product.reshape(image.shape[0], rows, columns, out_channels)


def _space_to_depth_conv(
    image: Float[Array, "b h w c"], kernel: Float[Array, "k k c d"]
) -> Float[Array, "b h/2 w/2 d"]:
    """Stride-2 convolution as a stride-1 convolution over blocks of 2 x 2 pixels.

    Output o reads pixels 2o - p to 2o + p, p = (k - 1) / 2. For k = 7 that is 2o - 3 to 2o + 3;
    with a zero before the first weight, 2o - 4 to 2o + 3: whole blocks o - 2 to o + 1.
    """
    batch, height, width, channels = image.shape
    num_blocks = (kernel.shape[0] + 1) // 2
    kernel = jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))
    kernel = kernel.reshape(num_blocks, 2, num_blocks, 2, channels, -1)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(num_blocks, num_blocks, 4 * channels, -1)
    blocks = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, -1)
    return lax.conv_general_dilated(
        blocks,
        kernel,
        window_strides=(1, 1),
        padding=[(num_blocks // 2, num_blocks // 2 - 1)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
