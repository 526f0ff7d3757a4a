"""Depthwise convolution by hand, and its two formulations against each other."""

import jax
import numpy as np
import pytest

from i2uv_jax.ops.depthwise import depthwise_conv2d


def test_a_worked_example():
    """A line of four pixels and a kernel of three; each channel sees itself alone."""
    image = np.array([[1, 10], [2, 20], [3, 30], [4, 40]], np.float32).reshape(1, 1, 4, 2)
    kernel = np.array([[1, 0], [1, 0], [1, 2]], np.float32).reshape(1, 3, 2)
    out = depthwise_conv2d(image, kernel)
    np.testing.assert_allclose(out[0, 0, :, 0], [3, 6, 9, 7])
    np.testing.assert_allclose(out[0, 0, :, 1], [40, 60, 80, 0])
    # Every second pixel: of the one zero that is needed none lies left, as TensorFlow pads.
    strided = depthwise_conv2d(image, kernel, stride=2)
    np.testing.assert_allclose(strided[0, 0, :, 0], [6, 7])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 7])
def test_both_formulations_agree(stride, size):
    image = jax.random.normal(jax.random.key(0), (2, size, size, 3))
    kernel = jax.random.normal(jax.random.key(1), (5, 5, 3))
    plain = depthwise_conv2d(image, kernel, stride=stride)
    assert plain.shape == (2, -(-size // stride), -(-size // stride), 3)
    shifted = depthwise_conv2d(image, kernel, stride=stride, cpu_path=True)
    np.testing.assert_allclose(shifted, plain, atol=1e-5)
