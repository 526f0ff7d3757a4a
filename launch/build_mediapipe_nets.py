"""Brings MediaPipe's palm and hand landmark networks into the package: their weights, in our names
and half precision.

uv run --with ai-edge-litert python -m launch.build_mediapipe_nets MEDIAPIPE.whl

The wheel is that of MediaPipe 0.10.14 (`pip download --no-deps mediapipe==0.10.14`, Python 3.11);
those up to 0.10.21 hold the same files. Nothing of it is executed.
"""

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flax.traverse_util import unflatten_dict

from i2uv_jax.config import LandmarkNetConfig, PalmNetConfig
from i2uv_jax.models.landmark_net import STAGES
from i2uv_jax.models.model_files import LANDMARK_NET, MODEL_SUFFIX, PALM_NET, WEIGHTS_DIRECTORY
from i2uv_jax.models.weights import save_model

_PALM_MEMBER = "mediapipe/modules/palm_detection/palm_detection_full.tflite"
_LANDMARK_MEMBER = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="MediaPipe's wheel")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIRECTORY, help="where to")
    arguments = parser.parse_args()
    for name, member, config, read_variables in (
        (PALM_NET, _PALM_MEMBER, PalmNetConfig(), palm_variables),
        (LANDMARK_NET, _LANDMARK_MEMBER, LandmarkNetConfig(), landmark_variables),
    ):
        with zipfile.ZipFile(arguments.wheel) as wheel:
            layers = _Layers(wheel.read(member))
        variables = read_variables(layers, config)
        if not layers.all_read():
            raise ValueError(f"{member}: has more layers than the network")
        card = {
            "name": name,
            "origin": f"{member} of the wheel {arguments.wheel.name}",
            "licence": "Apache-2.0, (c) The MediaPipe Authors",
        }
        path = arguments.weights / (name + MODEL_SUFFIX)
        save_model(path, config, variables, card, storage_dtype="float16")
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


class _Layers:
    """A file's layers with parameters, one after the other, and what has been read of them."""

    def __init__(self, content: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        codes = schema.BuiltinOperator
        kinds = {code: name for name, code in vars(codes).items() if isinstance(code, int)}
        self._half = {}
        """Tensors that are stored in half precision, by the tensor that they are widened to."""
        self._waiting: dict[str, list[Any]] = {
            "CONV_2D": [],
            "DEPTHWISE_CONV_2D": [],
            "PRELU": [],
            "FULLY_CONNECTED": [],
        }
        self._read: dict[str, np.ndarray] = {}
        for operator in self._graph.operators:
            kind = kinds[self._model.operatorCodes[operator.opcodeIndex].builtinCode]
            if kind == "DEQUANTIZE":
                self._half[operator.outputs[0]] = operator.inputs[0]
            elif kind in self._waiting:
                self._waiting[kind].append(operator)

    def convolution(self, name: str) -> None:
        """Reads the next convolution; as the next three, in the order in which the file has them,
        by the name of our layer."""
        kernel, bias = self._next("CONV_2D")
        self._read[f"{name}/kernel"] = kernel.transpose(1, 2, 3, 0)
        self._read[f"{name}/bias"] = bias

    def depthwise(self, name: str) -> None:
        kernel, bias = self._next("DEPTHWISE_CONV_2D")
        self._read[f"{name}/depthwise"], self._read[f"{name}/depthwise_bias"] = kernel[0], bias

    def slope(self, name: str) -> None:
        (values,) = self._next("PRELU")
        self._read[f"{name}_slope"] = values.ravel()

    def dense(self, name: str) -> None:
        kernel, bias = self._next("FULLY_CONNECTED")
        self._read[f"{name}/kernel"], self._read[f"{name}/bias"] = kernel.T, bias

    def variables(self) -> dict[str, Any]:
        """What has been read, as Flax has it."""
        return {"params": unflatten_dict(self._read, sep="/")}

    def all_read(self) -> bool:
        return not any(self._waiting.values())

    def _next(self, kind: str) -> Iterator[np.ndarray]:
        operator = self._waiting[kind].pop(0)
        return (self._values(index) for index in operator.inputs[1:])

    def _values(self, index: int) -> np.ndarray:
        tensor = self._graph.tensors[self._half[index]]
        data = self._model.buffers[tensor.buffer].data
        return np.frombuffer(bytes(data), np.float16).astype(np.float32).reshape(tensor.shape)


def palm_variables(layers: _Layers, config: PalmNetConfig) -> dict[str, Any]:
    """The variables of a `PalmNet`, in the order in which its layers are called."""

    def block(name: str) -> None:
        layers.depthwise(name)
        layers.convolution(f"{name}/pointwise")
        layers.slope(f"{name}/block")

    layers.convolution("entry")
    layers.slope("entry")
    for stride in (2, 4, 8, 16, 32):
        if stride > 2:
            block(f"down{stride}")
        for number in range(1, config.num_blocks + 1):
            block(f"stride{stride}_block{number}")
    for name, level in (("up16", "coarse"), ("up8", "fine")):
        layers.convolution(f"{name}_narrow")
        layers.slope(name)
        for number in (1, 2):
            block(f"{name}_block{number}")
        for told in ("logits", "values"):
            layers.convolution(f"{level}_{told}")
    return layers.variables()


def landmark_variables(layers: _Layers, config: LandmarkNetConfig) -> dict[str, Any]:
    """The variables of a `LandmarkNet`, in the order in which its layers are called."""
    del config  # it changes sizes alone

    layers.convolution("entry")
    for stage, (_, _, num_blocks, expansion) in enumerate(STAGES, start=1):
        for number in range(1, num_blocks + 1):
            block = f"stage{stage}_block{number}"
            if number > 1 or expansion > 1:
                layers.convolution(f"{block}/widened/expand")
            layers.depthwise(f"{block}/widened")
            layers.convolution(f"{block}/project")
    layers.convolution("exit/expand")
    layers.depthwise("exit")
    for head in ("right", "presence", "keypoints", "world"):
        layers.dense(head)
    return layers.variables()


if __name__ == "__main__":
    main()
