"""What all networks' layers share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from i2uv_jax.models.layers import Conv


@pytest.fixture(scope="module")
def image():
    return jnp.ones((1, 6, 6, 3))


@pytest.fixture(scope="module")
def variables(image):
    return Conv(8, 3).init(jax.random.key(0), image)


def test_fresh_kernels_are_random_and_biases_zero(variables):
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    # He et al. 2015: the variance is 2 over the inputs of an output.
    assert kernel.std() == pytest.approx((2 / 27) ** 0.5, rel=0.2)
    assert kernel.dtype == jnp.float32
    np.testing.assert_array_equal(bias, np.zeros(8))


@pytest.mark.parametrize(("name", "shape"), [("kernel", (3, 3, 3, 16)), ("bias", (1,))])
def test_parameters_of_another_shape_are_refused(image, variables, name, shape):
    params = variables["params"] | {name: jnp.zeros(shape)}
    with pytest.raises(ScopeParamShapeError, match=name):
        Conv(8, 3).apply({"params": params}, image)
