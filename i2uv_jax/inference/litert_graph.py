"""A traced JAX function as a LiteRT flatbuffer. Needs the extra `litert`.

The converter reads StableHLO and wants every shape fixed, the batch's too.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
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
