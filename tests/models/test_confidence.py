"""Expected errors beside the map: what they start from, what they move, and what moves them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.confidence import FIRST_ERROR
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.random_weights import random_variables
from i2uv_jax.models.weights import variable_shapes
from tests.models.compiling import quick_jit

PLAIN = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True),
    SRNetConfig(channels=(4,), kernels=(3, 3), residual=True, size=12),
    image_size=32,
    cpu_paths="off",
)
TELLING = dataclasses.replace(PLAIN, affine=dataclasses.replace(PLAIN.affine, confidence=True))
HEAD = ("affine_net", "confidence", "conv")


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(0), (2, 32, 32, 3))


@pytest.fixture(scope="module")
def gradients(image):
    """Of a sum over the maps, and of one over the expected errors: by parameter."""

    @quick_jit
    def both(variables):
        def sums(params):
            output = build_model(TELLING).apply({**variables, "params": params}, image, train=False)
            maps = sum(uv_map.sum() for uv_map in (*output.stage_uv_maps, output.uv_map))
            return maps, output.log_error.sum()

        of_maps, of_errors = jax.jacrev(sums)(variables["params"])
        return of_maps, of_errors

    return [flatten_dict(tree) for tree in both(random_variables(TELLING))]


def test_a_fresh_head_expects_one_error_everywhere_and_changes_no_map(image):
    variables = random_variables(TELLING)
    head = variables["params"]["affine_net"]["confidence"]["conv"]
    assert head["kernel"].shape == (1, 1, 8, 1)
    fresh = quick_jit(
        lambda key: build_model(TELLING).init(key, image, train=False)["params"]["affine_net"][
            "confidence"
        ]["conv"]
    )(jax.random.key(0, impl="rbg"))
    head.update(jax.device_get(fresh))
    output = quick_jit(lambda: build_model(TELLING).apply(variables, image, train=False))()
    # At the size of AffineNet's finest map, not of SRNet's.
    assert output.log_error.shape == (2, 8, 8) and output.uv_map.shape == (2, 12, 12, 3)
    assert output.log_error.dtype == jnp.float32
    np.testing.assert_allclose(jnp.exp(output.log_error), FIRST_ERROR, rtol=1e-6)
    del variables["params"]["affine_net"]["confidence"]
    plain = quick_jit(lambda: build_model(PLAIN).apply(variables, image, train=False))()
    assert plain.log_error is None
    np.testing.assert_array_equal(plain.uv_map, output.uv_map)


def test_expected_errors_move_their_head_alone_and_maps_all_else(gradients):
    of_maps, of_errors = gradients
    assert {path for path, leaf in of_errors.items() if np.abs(leaf).max() > 0} == {
        (*HEAD, "kernel"),
        (*HEAD, "bias"),
    }
    assert np.abs(of_maps[*HEAD, "kernel"]).max() == 0 < np.abs(of_errors[*HEAD, "kernel"]).min()
    for layer in ("stage3", "encoder"):
        assert any(np.abs(leaf).max() > 0 for path, leaf in of_maps.items() if layer in path)


def test_they_are_float32_in_networks_that_are_not(image):
    config = dataclasses.replace(TELLING, dtype="bfloat16")
    shapes = jax.eval_shape(
        lambda variables: build_model(config).apply(variables, image, train=False),
        variable_shapes(config),
    )
    assert shapes.log_error.dtype == jnp.float32
