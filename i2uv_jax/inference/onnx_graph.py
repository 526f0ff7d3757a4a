"""An ONNX graph that is being built: its nodes, its constants and the tensors between them.

The batch size is left open. A broadcast is not carried out: its value keeps sides of 1
(`Value.shape`), which ONNX's arithmetic stretches by itself; whatever needs the full shape asks for
it (`Graph.dense`).

Needs the extra `onnx`.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from i2uv_jax.inference.runtime_errors import UnsupportedModelError


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, or a constant."""

    content: str | np.ndarray
    shape: tuple
    """As stored: 1 where the value is yet to be stretched. Sides may hold the symbolic batch."""

    @classmethod
    def constant(cls, array: Any) -> "Value":
        """Of an array, or of what NumPy makes one of."""
        array = np.asarray(array)
        return cls(array, array.shape)

    @property
    def is_constant(self) -> bool:
        return not isinstance(self.content, str)


class Graph:
    """Nodes and constants as they come about."""

    def __init__(self, batch: Any, input_name: str) -> None:
        """
        Args:
          batch: the symbolic batch size of `jax.export`.
          input_name: of an input whose first axis is the batch.
        """
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._batch = batch
        self._num_names = 0
        self._constants: dict[tuple, str] = {}
        shape = self.add("Shape", [input_name])
        self._batch_tensor = self.add("Slice", [shape, self.ints([0]), self.ints([1])])

    def add(
        self,
        operation: str,
        inputs: list[str],
        *,
        num_outputs: int = 0,
        output_name: str | None = None,
        **attributes: Any,
    ) -> Any:
        """Adds a node; returns its output's name, or a list of `num_outputs` names."""
        names = [output_name or self._new_name() for _ in range(num_outputs or 1)]
        self.nodes.append(helper.make_node(operation, inputs, names, **attributes))
        return names if num_outputs else names[0]

    def name_of(self, value: Value) -> str:
        """The tensor of a value as it is stored."""
        if not value.is_constant:
            return value.content
        array = np.ascontiguousarray(value.content)
        # Equal constants are stored once: a network that looks twice has its weights twice here.
        digest = hashlib.sha256(array.tobytes()).digest()
        key = array.dtype, value.content.shape, digest
        if key not in self._constants:
            self._constants[key] = self._new_name()
            tensor = numpy_helper.from_array(array.reshape(key[1]), self._constants[key])
            self.initializers.append(tensor)
        return self._constants[key]

    def dense(self, value: Value, aval: Any) -> str:
        """The tensor of a value in its full shape."""
        if tuple(value.shape) == tuple(aval.shape):
            return self.name_of(value)
        return self.add("Expand", [self.name_of(value), self.shape_tensor(aval.shape)])

    def shape_tensor(self, shape: tuple) -> str:
        """A shape as a tensor of int64; the batch is looked up when the graph runs."""
        if all(isinstance(side, int) for side in shape):
            return self.ints(shape)
        sides = [
            self.ints([side]) if isinstance(side, int) else self.batch_multiple(side)
            for side in shape
        ]
        return self.add("Concat", sides, axis=0)

    def batch_multiple(self, side: Any) -> str:
        """A side that is a whole multiple of the batch, as a tensor of one int64."""
        factor = side // self._batch
        if not isinstance(factor, int) or factor * self._batch != side:
            raise UnsupportedModelError("ONNX", f"the side {side} is no multiple of the batch")
        return self.add("Mul", [self._batch_tensor, self.ints([factor])])

    def reshape(self, value: Value, shape: tuple) -> Value:
        """To a shape in which at most one side holds the batch."""
        if value.is_constant and all(isinstance(side, int) for side in shape):
            return Value.constant(np.reshape(value.content, shape))
        sides = [side if isinstance(side, int) else -1 for side in shape]
        name = self.add("Reshape", [self.name_of(value), self.ints(sides)])
        return Value(name, tuple(shape))

    def ints(self, values: Any) -> str:
        """A constant of int64."""
        return self.name_of(Value.constant(np.array(values, np.int64)))

    def elementwise(self, emit: Any, inputs: list[Value], aval: Any) -> Value:
        """An operation that stretches sides of 1: its ONNX name, or what adds it."""
        shape = tuple(
            next((side for side in sides if not _is_one(side)), 1)
            for sides in zip(*(_padded(v.shape, aval.ndim) for v in inputs), strict=True)
        )
        names = [self.name_of(value) for value in inputs]
        if isinstance(emit, str):
            return Value(self.add(emit, names), shape)
        return Value(emit(self, names), shape)

    def _new_name(self) -> str:
        self._num_names += 1
        return f"t{self._num_names}"


def _is_one(side: Any) -> bool:
    return isinstance(side, int) and side == 1


def _padded(shape: tuple, rank: int) -> tuple:
    return (1,) * (rank - len(shape)) + tuple(shape)
