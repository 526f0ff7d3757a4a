"""What of a LiteRT flatbuffer is in int8, and where the ranges of its activations come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.ops.conv import conv2d

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the extra litert")

SMALL_CONV, LARGE_CONV = (8, 3, 3, 3), (96, 3, 3, 96)
LARGE_DENSE, TABLE = (1024, 384), (512, 1024)
"""Weights as LiteRT has them, outputs first."""


@pytest.fixture(scope="module")
def model():
    """A program with a layer of each kind, and a product with a table, which has no bias."""
    from i2uv_jax.inference.litert_graph import litert_model

    rng = np.random.default_rng(0)

    def kernel(shape):
        array = rng.normal(size=shape).astype(np.float32)
        return np.moveaxis(array, 0, -1) / np.sqrt(array[0].size)

    kernels = [kernel(shape) for shape in (SMALL_CONV, (96, 1, 1, 8), LARGE_CONV)]
    dense, table = kernel(LARGE_DENSE), kernel(TABLE)

    def function(image):
        x = image
        for weights in kernels:
            x = jax.nn.relu(conv2d(x, weights, stride=2) + 0.1)
        x = x.reshape(1, -1)
        return {"out": (x @ dense + jnp.arange(1024) / 1024) @ table}

    return litert_model(function, {"image": jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)})


def images(count):
    rng = np.random.default_rng(1)
    return [
        {"image": scale * rng.uniform(size=(1, 16, 16, 3)).astype(np.float32)}
        for scale in np.linspace(0.5, 1, count, dtype=np.float32)
    ]


def run(content, inputs):
    interpreter = litert.Interpreter(model_content=content)
    return interpreter.get_signature_runner()(**inputs)["out"]


def shapes_of(content, dtype):
    details = litert.Interpreter(model_content=content).get_tensor_details()
    return {tuple(one["shape"]) for one in details if one["dtype"] == dtype}


def test_small_layers_and_tables_stay_out_of_int8(model):
    from i2uv_jax.inference.litert_int8 import with_int8_convolutions, with_int8_weights

    weights = with_int8_weights(model)
    assert shapes_of(weights, np.int8) == {LARGE_DENSE}
    assert {SMALL_CONV, LARGE_CONV} <= shapes_of(weights, np.float16)
    assert TABLE in shapes_of(weights, np.float32) and TABLE not in shapes_of(weights, np.float16)
    convolutions = with_int8_convolutions(model, images(3))
    assert {LARGE_DENSE, LARGE_CONV} <= shapes_of(convolutions, np.int8)
    assert SMALL_CONV in shapes_of(convolutions, np.float16)
    given = images(4)[1]
    expected = run(model, given)
    for content in (weights, convolutions):
        assert 0 < np.abs(run(content, given) - expected).max() < 0.02 * np.ptp(expected)


def test_ranges_reach_as_far_as_any_input_does(model):
    from i2uv_jax.inference.litert_int8 import with_int8_convolutions

    inputs = images(3)
    content = with_int8_convolutions(model, inputs)
    assert content == with_int8_convolutions(model, inputs[::-1])
    assert content == with_int8_convolutions(model, inputs[-1:] + 2 * inputs[:2])
    assert content != with_int8_convolutions(model, inputs[:2])
