"""LiteRT flatbuffers in int8. Needs the extra `litert`."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, quantizer

from i2uv_jax.inference.litert_graph import SIGNATURE


def with_int8_weights(model: bytes) -> bytes:
    """Weights of convolutions and dense layers in int8, a scale for each output; all arithmetic is
    float."""
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=_int8_weights(),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    operations = qtyping.TFLOperationName
    return _quantised(
        model, dict.fromkeys((operations.CONV_2D, operations.FULLY_CONNECTED), config), None
    )


def with_int8_convolutions(model: bytes, inputs: Sequence[dict[str, np.ndarray]]) -> bytes:
    """Convolutions in int8; all else, the arithmetic on coordinates above all, stays float.

    Args:
      inputs: what the model may be given, by name; their activations decide the ranges.
    """
    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False),
        weight_tensor_config=_int8_weights(),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )
    return _quantised(model, {qtyping.TFLOperationName.CONV_2D: config}, inputs)


def _int8_weights() -> Any:
    return qtyping.TensorQuantizationConfig(
        num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
    )


def _quantised(
    model: bytes,
    configs: dict[Any, Any],
    inputs: Sequence[dict[str, np.ndarray]] | None,
) -> bytes:
    """By a config for each kind of operation; only activations need inputs."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The interpreter warns that keeping all tensors, as calibration must, takes memory.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        plan = quantizer.Quantizer(str(path))
        for operation, config in configs.items():
            plan.update_quantization_recipe(regex=".*", operation_name=operation, op_config=config)
        ranges = None if inputs is None else plan.calibrate({SIGNATURE: list(inputs)})
        # The report goes to stdout, which is its caller's.
        result = plan.quantize(ranges, enable_progress_report=False)
        return bytes(result.quantized_model)
