"""Max-pooling: both paths against a direct walk through the windows, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.ops.max_pool import max_pool_3x3


@pytest.fixture
def image():
    # Values without ties, so that each window has one gradient.
    values = np.random.default_rng(0).permutation(2 * 6 * 8 * 3).reshape(2, 6, 8, 3)
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("cpu_path", [False, True])
def test_each_output_is_the_largest_of_its_window(image, cpu_path):
    pooled = max_pool_3x3(image, cpu_path=cpu_path)
    assert pooled.shape == (2, 3, 4, 3)
    for row in range(3):
        for column in range(4):
            window = image[
                :, max(2 * row - 1, 0) : 2 * row + 2, max(2 * column - 1, 0) : 2 * column + 2
            ]
            np.testing.assert_array_equal(pooled[:, row, column], window.max(axis=(1, 2)))


def test_gradients_of_both_paths_agree(image):
    weights = jax.random.normal(jax.random.key(0), (2, 3, 4, 3))

    def weighted(image, cpu_path):
        return jnp.sum(weights * max_pool_3x3(image, cpu_path=cpu_path))

    plain, fast = (jax.grad(weighted)(image, cpu_path) for cpu_path in (False, True))
    np.testing.assert_allclose(fast, plain, atol=1e-6)


def test_odd_side_is_refused_on_the_cpu_path():
    with pytest.raises(ValueError, match="even sides"):
        max_pool_3x3(jnp.ones((1, 5, 4, 1)), cpu_path=True)
