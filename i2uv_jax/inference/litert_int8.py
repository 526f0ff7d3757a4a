"""LiteRT flatbuffers in int8. Needs the extra `litert`.

Only large layers are in int8. Small ones hold few of the bytes, and rounding them does most of the
harm: the first convolutions, the layers that lay the hand into the picture, the heads. Their
weights are in float16. Tables (where keypoints are on a mesh, how maps are enlarged) stay as they
are: they compute coordinates, which an error of a few thousandths moves by a millimetre.
"""

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils

from i2uv_jax.inference.litert_graph import SIGNATURE

_MAX_SMALL_LAYER, _MAX_SMALL_CONVOLUTION = 2**18, 2**16
"""Weights of the largest layer whose weights stay out of int8, and of the largest convolution that
computes in float although others compute in int8: the first is paid for in bytes, the second in
time as well."""

_INT8_WEIGHTS = qtyping.TensorQuantizationConfig(
    num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
)
_FLOAT16_WEIGHTS = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)


class _Layer(NamedTuple):
    """A convolution or a dense layer."""

    name: str
    operation: qtyping.TFLOperationName
    num_weights: int


class _Storage(NamedTuple):
    """How a layer is stored and computed."""

    config: qtyping.OpQuantizationConfig
    algorithm: quantizer.AlgorithmName


def _computed_in_float(weights: qtyping.TensorQuantizationConfig) -> qtyping.OpQuantizationConfig:
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=weights,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )


_STORED_IN_INT8 = _Storage(
    _computed_in_float(_INT8_WEIGHTS), quantizer.AlgorithmName.MIN_MAX_UNIFORM_QUANT
)
_STORED_IN_FLOAT16 = _Storage(
    _computed_in_float(_FLOAT16_WEIGHTS), quantizer.AlgorithmName.FLOAT_CASTING
)
_COMPUTED_IN_INT8 = _Storage(
    qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False),
        weight_tensor_config=_INT8_WEIGHTS,
        compute_precision=qtyping.ComputePrecision.INTEGER,
    ),
    quantizer.AlgorithmName.MIN_MAX_UNIFORM_QUANT,
)


def with_int8_weights(model: bytes) -> bytes:
    """Weights of large layers in int8, a scale for each output; all arithmetic is float."""
    return _quantised(model, _storage_of_weights, ())


def with_int8_convolutions(model: bytes, inputs: Sequence[dict[str, np.ndarray]]) -> bytes:
    """The same, and large convolutions compute in int8; all else, the arithmetic on coordinates
    above all, stays float.

    Args:
      inputs: what the model may be given, by name; their activations decide the ranges.
    """

    def storage(layer: _Layer) -> _Storage:
        is_convolution = layer.operation == qtyping.TFLOperationName.CONV_2D
        if is_convolution and layer.num_weights > _MAX_SMALL_CONVOLUTION:
            return _COMPUTED_IN_INT8
        return _storage_of_weights(layer)

    return _quantised(model, storage, inputs)


def _storage_of_weights(layer: _Layer) -> _Storage:
    return _STORED_IN_INT8 if layer.num_weights > _MAX_SMALL_LAYER else _STORED_IN_FLOAT16


def _layers(model: bytes) -> Iterator[_Layer]:
    """The model's layers, each at every place where it is computed."""
    operations = {
        qtyping.BuiltinOperator.CONV_2D: qtyping.TFLOperationName.CONV_2D,
        qtyping.BuiltinOperator.FULLY_CONNECTED: qtyping.TFLOperationName.FULLY_CONNECTED,
    }
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (graph,) = content.subgraphs
    for operator in graph.operators:
        code = content.operatorCodes[operator.opcodeIndex].builtinCode
        # Products with tables are FULLY_CONNECTED as well, but have no bias.
        if code in operations and len(operator.inputs) == 3 and operator.inputs[2] >= 0:
            yield _Layer(
                graph.tensors[operator.outputs[0]].name.decode(),
                operations[code],
                int(np.prod(graph.tensors[operator.inputs[1]].shape)),
            )


def _quantised(
    model: bytes, storage: Callable[[_Layer], _Storage], inputs: Sequence[dict[str, np.ndarray]]
) -> bytes:
    """Layers stored as they should be; only those that compute in int8 need inputs."""
    recipes = recipe_manager.RecipeManager()
    for layer in _layers(model):
        config, algorithm = storage(layer)
        # Operations go by the names of their outputs, each with a semicolon.
        regex = f"^{re.escape(layer.name)};$"
        recipes.add_quantization_config(regex, layer.operation, config, algorithm)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The interpreter warns that keeping all tensors, as calibration must, takes memory.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        plan = quantizer.Quantizer(str(path), recipes.get_quantization_recipe())
        # The report goes to stdout, which is its caller's.
        result = plan.quantize(_ranges(path, recipes, inputs), enable_progress_report=False)
        return bytes(result.quantized_model)


def _ranges(
    path: Path, recipes: recipe_manager.RecipeManager, inputs: Sequence[dict[str, np.ndarray]]
) -> dict[str, Any] | None:
    """Of all activations that are to be in int8, over all inputs; None without any."""
    if not recipes.need_calibration():
        return None
    # The quantizer's own calibration takes means of the inputs' ranges, and so cuts off the ends.
    calibration = calibrator.Calibrator(str(path), qsv_update_func=qsv_utils.min_max_update)
    calibration.calibrate({SIGNATURE: list(inputs)}, recipes)
    return calibration.get_model_qsvs()
