"""A traced JAX function as a LiteRT flatbuffer, float or int8. Needs the extra `litert`.

The converter reads StableHLO and wants every shape fixed, the batch's too.
"""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from litert_converter import converter_api_ext
from litert_converter.mlir import ir, passmanager

from i2uv_jax.inference.runtime_errors import UnsupportedModelError

SIGNATURE = "serving_default"


def litert_model(
    function: Callable[..., dict[str, jax.Array]], inputs: dict[str, jax.ShapeDtypeStruct]
) -> bytes:
    """Converts a function of arrays of fixed shapes to outputs by name.

    Raises:
      UnsupportedModelError: the converter met an operation that it does not know.
    """
    lowered = jax.jit(function).lower(*inputs.values())
    text = lowered.as_text()
    # JAX flattens dictionaries in the order of their sorted keys.
    outputs = sorted(lowered.out_info)
    context = ir.Context()
    converter_api_ext.prepare_mlir_context(context)
    context.allow_unregistered_dialects = True
    with context, ir.Location.unknown(), tempfile.TemporaryDirectory() as folder:
        module = ir.Module.parse(text)
        attributes = module.operation.attributes
        for name in [str(attribute) for attribute in attributes]:
            # JAX's notes on partitions, which the converter does not know.
            if name.startswith("mhlo."):
                del attributes[name]
        converter_api_ext.set_signature(module.operation, SIGNATURE, list(inputs), outputs)
        path = Path(folder) / "model.tflite"
        try:
            converter_api_ext.run_convert_to_tfl_passes(
                module, passmanager.PassManager(), converter_api_ext.ConvertToTFLConfig()
            )
            converter_api_ext.export_flatbuffer_to_file(module.operation, str(path))
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModelError("LiteRT's converter", error) from error
        return path.read_bytes()


def with_int8_weights(model: bytes) -> bytes:
    """Weights of convolutions and dense layers in int8, a scale for each output; all arithmetic is
    float."""
    from ai_edge_quantizer import qtyping

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
    from ai_edge_quantizer import qtyping

    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False),
        weight_tensor_config=_int8_weights(),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )
    return _quantised(model, {qtyping.TFLOperationName.CONV_2D: config}, inputs)


def _int8_weights() -> Any:
    from ai_edge_quantizer import qtyping

    return qtyping.TensorQuantizationConfig(
        num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
    )


def _quantised(
    model: bytes,
    configs: dict[Any, Any],
    inputs: Sequence[dict[str, np.ndarray]] | None,
) -> bytes:
    """By a config for each kind of operation; only activations need inputs."""
    from ai_edge_quantizer import quantizer

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
