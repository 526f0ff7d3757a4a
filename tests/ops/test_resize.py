"""Corner-aligned resizing against NumPy's piecewise linear interpolation and hand-made cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.ops.resize import interpolation_matrix, resize_corner_aligned


@pytest.mark.parametrize("cpu_path", [False, True])
@pytest.mark.parametrize("size", [(9, 4), (3, 7), (5, 10), (2, 2), (1, 3)])
def test_resize_equals_linear_interpolation_between_shared_corners(size, cpu_path):
    image = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    rows = np.linspace(0, 4, size[0]) if size[0] > 1 else np.zeros(1)
    columns = np.linspace(0, 5, size[1])
    expected = np.apply_along_axis(lambda line: np.interp(rows, np.arange(5), line), 1, image)
    expected = np.apply_along_axis(lambda line: np.interp(columns, np.arange(6), line), 2, expected)
    resized = resize_corner_aligned(jnp.array(image), size, cpu_path=cpu_path)
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_doubling_two_samples_puts_thirds_between_them():
    # PyTorch: interpolate([0, 3], scale_factor=2, align_corners=True) = [0, 1, 2, 3]
    line = jnp.array([0.0, 3.0]).reshape(1, 1, 2, 1)
    assert resize_corner_aligned(line, (1, 4)).ravel().tolist() == pytest.approx([0, 1, 2, 3])


@pytest.mark.parametrize("sizes", [(4, 8), (8, 4), (7, 3), (32, 64)])
def test_cpu_path_has_the_plain_gradient(sizes):
    image = jax.random.normal(jax.random.key(0), (1, sizes[0], sizes[0], 2))

    def loss(image, cpu_path):
        return jnp.sum(jnp.sin(resize_corner_aligned(image, (sizes[1],) * 2, cpu_path=cpu_path)))

    np.testing.assert_allclose(jax.grad(loss)(image, True), jax.grad(loss)(image, False), atol=1e-5)


def test_rows_of_the_matrix_sum_to_one():
    np.testing.assert_allclose(interpolation_matrix(7, 31).sum(axis=1), 1, atol=1e-6)


def test_resize_keeps_bfloat16():
    image = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
    assert resize_corner_aligned(image, (8, 8)).dtype == jnp.bfloat16
    assert resize_corner_aligned(image, (8, 8), cpu_path=True).dtype == jnp.bfloat16
