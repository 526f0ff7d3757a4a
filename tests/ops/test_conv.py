"""Convolution against a NumPy loop over kernel offsets, and its CPU paths against the plain one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.ops.conv import conv2d


def convolve_by_offsets(image, kernel, stride):
    padding = (kernel.shape[0] - 1) // 2
    padded = np.pad(image, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    out_height, out_width = (-(-side // stride) for side in image.shape[1:3])
    total = 0
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            rows = slice(i, i + (out_height - 1) * stride + 1, stride)
            columns = slice(j, j + (out_width - 1) * stride + 1, stride)
            total = total + padded[:, rows, columns] @ kernel[i, j]
    return total


# (kernel, stride, channels, side): 1x1 and stride-2 stems have their own CPU paths.
CASES = [(1, 1, 5, 6), (1, 2, 5, 6), (1, 2, 5, 7), (3, 2, 3, 8), (7, 2, 3, 12), (7, 2, 3, 11),
         (3, 1, 4, 5)]  # fmt: skip


@pytest.mark.parametrize("cpu_path", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride", "channels", "side"), CASES)
def test_conv_equals_sum_over_offsets(kernel_size, stride, channels, side, cpu_path):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, side, side, channels)).astype(np.float32)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, 4)).astype(np.float32)
    result = conv2d(jnp.array(image), jnp.array(kernel), stride=stride, cpu_path=cpu_path)
    np.testing.assert_allclose(result, convolve_by_offsets(image, kernel, stride), atol=1e-4)


@pytest.mark.parametrize(("kernel_size", "stride", "channels", "side"), CASES)
def test_cpu_path_has_the_plain_gradients(kernel_size, stride, channels, side):
    image = jax.random.normal(jax.random.key(0), (2, side, side, channels))
    kernel = jax.random.normal(jax.random.key(1), (kernel_size, kernel_size, channels, 4))

    def loss(image, kernel, cpu_path):
        return jnp.mean(conv2d(image, kernel, stride=stride, cpu_path=cpu_path) ** 2)

    plain = jax.grad(loss, argnums=(0, 1))(image, kernel, False)
    fast = jax.grad(loss, argnums=(0, 1))(image, kernel, True)
    for plain_gradient, fast_gradient in zip(plain, fast, strict=True):
        np.testing.assert_allclose(fast_gradient, plain_gradient, atol=1e-4)


def test_channel_mismatch_is_named():
    with pytest.raises(ValueError, match="expected 3 channels"):
        conv2d(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 3, 1)))
