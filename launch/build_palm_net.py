"""Brings MediaPipe's palm detector into the package: its weights, in our names and half precision.

uv run --with ai-edge-litert python -m launch.build_palm_net MEDIAPIPE.whl

The wheel is that of MediaPipe 0.10.14 (`pip download --no-deps mediapipe==0.10.14`, Python 3.11);
those up to 0.10.21 hold the same file. Nothing of it is executed.
"""

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flax.traverse_util import unflatten_dict

from i2uv_jax.config import PalmNetConfig
from i2uv_jax.models.model_files import MODEL_SUFFIX, PALM_NET, WEIGHTS_DIRECTORY
from i2uv_jax.models.weights import save_model

_MEMBER = "mediapipe/modules/palm_detection/palm_detection_full.tflite"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="MediaPipe's wheel")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIRECTORY, help="where to")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        layers = _Layers(wheel.read(_MEMBER))
    config = PalmNetConfig()
    card = {
        "name": PALM_NET,
        "origin": f"{_MEMBER} of the wheel {arguments.wheel.name}",
        "licence": "Apache-2.0, (c) The MediaPipe Authors",
    }
    path = arguments.weights / (PALM_NET + MODEL_SUFFIX)
    save_model(path, config, read_variables(layers, config), card, storage_dtype="float16")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


class _Layers:
    """The file's layers with parameters, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        codes = schema.BuiltinOperator
        kinds = {code: name for name, code in vars(codes).items() if isinstance(code, int)}
        self._half = {}
        """Tensors that are stored in half precision, by the tensor that they are widened to."""
        self._waiting: dict[str, list[Any]] = {"CONV_2D": [], "DEPTHWISE_CONV_2D": [], "PRELU": []}
        for operator in self._graph.operators:
            kind = kinds[self._model.operatorCodes[operator.opcodeIndex].builtinCode]
            if kind == "DEQUANTIZE":
                self._half[operator.outputs[0]] = operator.inputs[0]
            elif kind in self._waiting:
                self._waiting[kind].append(operator)

    def next(self, kind: str) -> Iterator[np.ndarray]:
        """The parameters of the next layer of a kind, in the order in which the file has them."""
        operator = self._waiting[kind].pop(0)
        return (self._values(index) for index in operator.inputs[1:])

    def all_read(self) -> bool:
        return not any(self._waiting.values())

    def _values(self, index: int) -> np.ndarray:
        tensor = self._graph.tensors[self._half[index]]
        data = self._model.buffers[tensor.buffer].data
        return np.frombuffer(bytes(data), np.float16).astype(np.float32).reshape(tensor.shape)


def read_variables(layers: _Layers, config: PalmNetConfig) -> dict[str, Any]:
    """The variables of a `PalmNet`, in the order in which its layers are called."""
    flat: dict[str, np.ndarray] = {}

    def convolution(name: str) -> None:
        kernel, bias = layers.next("CONV_2D")
        flat[f"{name}/kernel"], flat[f"{name}/bias"] = kernel.transpose(1, 2, 3, 0), bias

    def slope(name: str) -> None:
        (values,) = layers.next("PRELU")
        flat[f"{name}_slope"] = values.ravel()

    def block(name: str) -> None:
        kernel, bias = layers.next("DEPTHWISE_CONV_2D")
        flat[f"{name}/depthwise"], flat[f"{name}/depthwise_bias"] = kernel[0], bias
        convolution(f"{name}/pointwise")
        slope(f"{name}/block")

    convolution("entry")
    slope("entry")
    for stride in (2, 4, 8, 16, 32):
        if stride > 2:
            block(f"down{stride}")
        for number in range(1, config.num_blocks + 1):
            block(f"stride{stride}_block{number}")
    for name, level in (("up16", "coarse"), ("up8", "fine")):
        convolution(f"{name}_narrow")
        slope(name)
        for number in (1, 2):
            block(f"{name}_block{number}")
        for told in ("logits", "values"):
            convolution(f"{level}_{told}")
    if not layers.all_read():
        raise ValueError(f"{_MEMBER}: has more layers than the network")
    return {"params": unflatten_dict(flat, sep="/")}


if __name__ == "__main__":
    main()
