"""A traced JAX function as an ONNX graph, with the batch size left open.

Covers the operations that this package's networks consist of, one small function each, and names
what it does not know. Existing converters want other versions of JAX or Orbax than we do.

Values that only depend on weights are computed here. A broadcast is not carried out: its value
keeps sides of 1 (`_Value.shape`), which ONNX's arithmetic stretches by itself; whatever needs the
full shape asks for it (`_Graph.dense`). Convolutions work channels first between two transposes,
which onnxruntime moves and cancels when it loads the graph.

Needs the extra `onnx`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.extend
import numpy as np
import onnx
from jax import export as jax_export
from onnx import helper, numpy_helper

from i2uv_jax.inference.runtime_errors import UnsupportedModelError

OPSET = 21
_IR_VERSION = 10
_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph, or a constant."""

    content: str | np.ndarray
    shape: tuple
    """As stored: 1 where the value is yet to be stretched. Sides may hold the symbolic batch."""

    @property
    def is_constant(self) -> bool:
        return not isinstance(self.content, str)


def onnx_model(
    function: Callable[..., dict[str, jax.Array]],
    inputs: dict[str, tuple[tuple[int, ...], np.dtype]],
    *,
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    """Converts a function of one batch.

    Args:
      function: takes an array of (batch, *shape) for each input, returns outputs by name; the first
        axis of all is the batch.
      inputs: shape (without the batch) and type of each, by name.
      constants: further outputs of the model, the same for every input.

    Raises:
      UnsupportedModelError: the function holds an operation that this module does not know.
    """
    (batch,) = jax_export.symbolic_shape("batch")
    specs = [jax.ShapeDtypeStruct((batch, *shape), dtype) for shape, dtype in inputs.values()]
    closed, named = jax.make_jaxpr(function, return_shape=True)(*specs)
    graph = _Graph(batch, next(iter(inputs)))
    given = [_Value(name, spec.shape) for name, spec in zip(inputs, specs, strict=True)]
    # JAX flattens dictionaries in the order of their sorted keys.
    results = zip(sorted(named), graph.run(closed, given), closed.jaxpr.outvars, strict=True)
    outputs = []
    for name, result, variable in results:
        graph.add("Identity", [graph.dense(result, variable.aval)], output_name=name)
        outputs.append(_value_info(name, variable.aval))
    input_infos = [_value_info(name, spec) for name, spec in zip(inputs, specs, strict=True)]
    for name, array in constants.items():
        graph.initializers.append(numpy_helper.from_array(array, f"{name}_values"))
        graph.nodes.append(helper.make_node("Identity", [f"{name}_values"], [name]))
        outputs.append(
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
        )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "i2uv", input_infos, outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="i2uv_jax",
    )
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants as they come about."""

    def __init__(self, batch: Any, input_name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._batch = batch
        self._num_names = 0
        self._constants: dict[tuple, str] = {}
        shape = self.add("Shape", [input_name])
        self._batch_tensor = self.add("Slice", [shape, self.ints([0]), self.ints([1])])

    def run(self, closed: Any, inputs: list[_Value]) -> list[_Value]:
        """Converts a jaxpr and those within it."""
        jaxpr = closed.jaxpr
        values = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, constant in zip(jaxpr.constvars, closed.consts, strict=True):
            values[variable] = _constant(constant)

        def read(variable: Any) -> _Value:
            literal = isinstance(variable, jax.extend.core.Literal)
            return _constant(variable.val) if literal else values[variable]

        for equation in jaxpr.eqns:
            given = [read(variable) for variable in equation.invars]
            made = self._convert(equation, given)
            values.update(zip(equation.outvars, made, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def _convert(self, equation: Any, inputs: list[_Value]) -> list[_Value]:
        inner = _inner(equation)
        if inner is not None:
            return self.run(inner, inputs)
        name = equation.primitive.name
        if name == "broadcast_in_dim":
            return [self._broadcast(equation, *inputs)]
        avals = [variable.aval for variable in equation.invars]
        outputs = [variable.aval for variable in equation.outvars]
        if (
            inputs
            and all(value.is_constant for value in inputs)
            and all(isinstance(side, int) for aval in (*avals, *outputs) for side in aval.shape)
        ):
            arrays = [
                np.broadcast_to(v.content, a.shape) for v, a in zip(inputs, avals, strict=True)
            ]
            result = equation.primitive.bind(*arrays, **equation.params)
            results = result if equation.primitive.multiple_results else [result]
            return [_constant(array) for array in results]
        if name in _ELEMENTWISE:
            return [self.elementwise(_ELEMENTWISE[name], inputs, outputs[0])]
        if name not in _OPERATIONS:
            raise UnsupportedModelError(
                "ONNX", f"the operation {name!r} of JAX {jax.__version__} is unknown"
            )
        return _OPERATIONS[name](self, equation, inputs)

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

    def name_of(self, value: _Value) -> str:
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

    def dense(self, value: _Value, aval: Any) -> str:
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

    def reshape(self, value: _Value, shape: tuple) -> _Value:
        """To a shape in which at most one side holds the batch."""
        if value.is_constant and all(isinstance(side, int) for side in shape):
            return _constant(np.reshape(value.content, shape))
        sides = [side if isinstance(side, int) else -1 for side in shape]
        name = self.add("Reshape", [self.name_of(value), self.ints(sides)])
        return _Value(name, tuple(shape))

    def ints(self, values: Any) -> str:
        """A constant of int64."""
        return self.name_of(_constant(np.array(values, np.int64)))

    def _new_name(self) -> str:
        self._num_names += 1
        return f"t{self._num_names}"

    def _broadcast(self, equation: Any, value: _Value, *_: _Value) -> _Value:
        shape = equation.params["shape"]
        stored = [1] * len(shape)
        for axis, side in zip(equation.params["broadcast_dimensions"], value.shape, strict=True):
            stored[axis] = side
        return value if tuple(stored) == tuple(value.shape) else self.reshape(value, tuple(stored))

    def elementwise(self, emit: Any, inputs: list[_Value], aval: Any) -> _Value:
        """An operation that stretches sides of 1: its ONNX name, or what adds it."""
        shape = tuple(
            next((side for side in sides if not _is_one(side)), 1)
            for sides in zip(*(_padded(v.shape, aval.ndim) for v in inputs), strict=True)
        )
        names = [self.name_of(value) for value in inputs]
        if isinstance(emit, str):
            return _Value(self.add(emit, names), shape)
        return _Value(emit(self, names), shape)


def _constant(array: Any) -> _Value:
    array = np.asarray(array)
    return _Value(array, array.shape)


def _is_one(side: Any) -> bool:
    return isinstance(side, int) and side == 1


def _padded(shape: tuple, rank: int) -> tuple:
    return (1,) * (rank - len(shape)) + tuple(shape)


def _inner(equation: Any) -> Any:
    """The closed jaxpr of operations that only wrap others."""
    if equation.primitive.name in ("jit", "pjit", "closed_call", "custom_jvp_call",
                                   "custom_vjp_call", "remat2"):  # fmt: skip
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        return inner if hasattr(inner, "consts") else jax.extend.core.ClosedJaxpr(inner, ())
    return None


def _value_info(name: str, aval: Any) -> onnx.ValueInfoProto:
    sides = ["batch" if not isinstance(side, int) else side for side in aval.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(aval.dtype), sides)


def _out(equation: Any, name: str, index: int = 0) -> _Value:
    return _Value(name, tuple(equation.outvars[index].aval.shape))


def _dense_inputs(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[str]:
    return [graph.dense(v, x.aval) for v, x in zip(inputs, equation.invars, strict=True)]


def _cast(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    (value,) = inputs
    target = helper.np_dtype_to_tensor_dtype(np.dtype(equation.params["new_dtype"]))
    return [_Value(graph.add("Cast", [graph.name_of(value)], to=target), value.shape)]


def _same(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    return inputs


def _reshape(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    name = graph.dense(inputs[0], equation.invars[0].aval)
    shape = equation.outvars[0].aval.shape
    return [graph.reshape(_Value(name, equation.invars[0].aval.shape), tuple(shape))]


def _transpose(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    (value,), order = inputs, equation.params["permutation"]
    name = graph.add("Transpose", [graph.name_of(value)], perm=order)
    return [_Value(name, tuple(value.shape[axis] for axis in order))]


def _slice(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    params, aval = equation.params, equation.invars[0].aval
    strides = params["strides"] or (1,) * aval.ndim
    bounds = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    axes = [i for i, (low, high, step) in enumerate(bounds)
            if (low, step) != (0, 1) or high != aval.shape[i]]  # fmt: skip
    name = graph.dense(inputs[0], aval)
    starts, ends, steps = ([bounds[i][k] for i in axes] for k in range(3))
    operands = [graph.ints(values) for values in (starts, ends, axes, steps)]
    return [_out(equation, graph.add("Slice", [name, *operands]))]


def _concatenate(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    names = _dense_inputs(graph, equation, inputs)
    return [_out(equation, graph.add("Concat", names, axis=equation.params["dimension"]))]


def _stack(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    axis = equation.params["axis"]
    names = _dense_inputs(graph, equation, inputs)
    wide = [graph.add("Unsqueeze", [name, graph.ints([axis])]) for name in names]
    return [_out(equation, graph.add("Concat", wide, axis=axis))]


def _split(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    (name,) = _dense_inputs(graph, equation, inputs)
    sizes = [int(size) for size in equation.params["sizes"]]
    names = graph.add("Split", [name, graph.ints(sizes)], num_outputs=len(sizes),
                      axis=equation.params["axis"])  # fmt: skip
    return [_out(equation, name, index) for index, name in enumerate(names)]


def _pad(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    config = [tuple(int(n) for n in axis) for axis in equation.params["padding_config"]]
    if any(inner or low < 0 or high < 0 for low, high, inner in config):
        raise UnsupportedModelError("ONNX", "only padding around the edges is known")
    name, fill = _dense_inputs(graph, equation, inputs)
    pads = graph.ints([low for low, _, _ in config] + [high for _, high, _ in config])
    return [_out(equation, graph.add("Pad", [name, pads, fill]))]


def _iota(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    shape, axis = equation.params["shape"], equation.params["dimension"]
    scalar = graph.ints([])
    start, step = (graph.name_of(_constant(np.int64(n))) for n in (0, 1))
    end = graph.add("Reshape", [graph.batch_multiple(shape[axis]), scalar])
    count = graph.add("Range", [start, end, step])
    target = helper.np_dtype_to_tensor_dtype(np.dtype(equation.params["dtype"]))
    value = _Value(graph.add("Cast", [count], to=target), (shape[axis],))
    stored = tuple(side if i == axis else 1 for i, side in enumerate(shape))
    return [value if len(shape) == 1 else graph.reshape(value, stored)]


def _dim_as_value(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    name = graph.add("Reshape", [graph.batch_multiple(equation.params["dim"]), graph.ints([])])
    target = helper.np_dtype_to_tensor_dtype(equation.outvars[0].aval.dtype)
    return [_out(equation, graph.add("Cast", [name], to=target))]


def _reduce(operation: str) -> Callable:
    def convert(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
        (name,) = _dense_inputs(graph, equation, inputs)
        axes = graph.ints(list(equation.params["axes"]))
        return [_out(equation, graph.add(operation, [name, axes], keepdims=0))]

    return convert


def _convolution(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    params = equation.params
    numbers = params["dimension_numbers"]
    plain = params["feature_group_count"] == params["batch_group_count"] == 1
    nhwc = numbers.lhs_spec == numbers.out_spec == _TO_NCHW and numbers.rhs_spec == (3, 2, 0, 1)
    if not (plain and nhwc and set(params["lhs_dilation"]) == {1} and inputs[1].is_constant):
        raise UnsupportedModelError(
            "ONNX", "only plain convolutions of channels-last pictures are known"
        )
    image = graph.add("Transpose", [graph.dense(inputs[0], equation.invars[0].aval)], perm=_TO_NCHW)
    kernel = graph.name_of(_constant(np.transpose(inputs[1].content, (3, 2, 0, 1))))
    (top, bottom), (left, right) = params["padding"]
    result = graph.add(
        "Conv",
        [image, kernel],
        strides=params["window_strides"],
        dilations=params["rhs_dilation"],
        pads=[top, left, bottom, right],
    )
    return [_out(equation, graph.add("Transpose", [result], perm=_TO_NHWC))]


def _max_pool(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    params = equation.params
    window, strides = params["window_dimensions"], params["window_strides"]
    (name,) = _dense_inputs(graph, equation, inputs)
    image = graph.add("Transpose", [name], perm=_TO_NCHW)
    (top, bottom), (left, right) = params["padding"][1:3]
    result = graph.add("MaxPool", [image], kernel_shape=window[1:3], strides=strides[1:3],
                       pads=[top, left, bottom, right])  # fmt: skip
    return [_out(equation, graph.add("Transpose", [result], perm=_TO_NHWC))]


def _dot(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = (variable.aval for variable in equation.invars)
    names = _dense_inputs(graph, equation, inputs)
    if (left.ndim, right.ndim, left_sum, right_sum) == (2, 2, (1,), (0,)):
        return [_out(equation, graph.add("MatMul", names))]
    letters = iter("abcdefghijklmnop")
    first = [next(letters) for _ in range(left.ndim)]
    second = [""] * right.ndim
    for i, j in zip((*left_batch, *left_sum), (*right_batch, *right_sum), strict=True):
        second[j] = first[i]
    second = [letter or next(letters) for letter in second]
    result = [first[i] for i in left_batch]
    result += [x for i, x in enumerate(first) if i not in (*left_batch, *left_sum)]
    result += [x for j, x in enumerate(second) if j not in (*right_batch, *right_sum)]
    text = f"{''.join(first)},{''.join(second)}->{''.join(result)}"
    return [_out(equation, graph.add("Einsum", names, equation=text))]


def _gather(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    """One window at a known place, or whole slices along one axis by an array of indices."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    source, places = (variable.aval for variable in equation.invars)
    name, axes = graph.dense(inputs[0], source), numbers.start_index_map
    whole = [size == side for size, side in zip(sizes, source.shape, strict=True)]
    if inputs[1].is_constant and places.ndim == 1:
        starts = np.broadcast_to(inputs[1].content, places.shape)
        ends = starts + np.array([sizes[axis] for axis in axes])
        window = graph.add("Slice", [name, *(graph.ints(v) for v in (starts, ends, axes))])
        return [graph.reshape(_Value(window, tuple(sizes)), tuple(equation.outvars[0].aval.shape))]
    axis = axes[0]
    # ONNX puts the indices' axes in place of the axis, which is where `take` wants them, too.
    num_axes = places.ndim - 1
    here = tuple(i for i in range(source.ndim - 1 + num_axes) if not axis <= i < axis + num_axes)
    taken = axes == numbers.collapsed_slice_dims == (axis,) and not numbers.operand_batching_dims
    if not (taken and all(whole[:axis] + whole[axis + 1 :]) and numbers.offset_dims == here):
        raise UnsupportedModelError("ONNX", f"unknown kind of indexing: {numbers}")
    index = graph.reshape(_Value(graph.dense(inputs[1], places), places.shape), places.shape[:-1])
    return [_out(equation, graph.add("Gather", [name, graph.name_of(index)], axis=axis))]


def _select(graph: _Graph, equation: Any, inputs: list[_Value]) -> list[_Value]:
    """Of two cases by a truth value."""
    which, if_false, if_true = inputs
    return [graph.elementwise("Where", [which, if_true, if_false], equation.outvars[0].aval)]


_ELEMENTWISE = {
    **{name: name.capitalize() for name in (
        "add", "sub", "mul", "div", "max", "min", "exp", "log", "sqrt", "neg", "abs", "floor",
        "sign", "tanh", "and", "or", "not",
    )},
    "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual", "eq": "Equal",
    "logistic": "Sigmoid",
    # Of NaN and infinity the difference from themselves is NaN, which equals nothing.
    "is_finite": lambda graph, names: graph.add("Equal", 2 * [graph.add("Sub", 2 * names)]),
    "ne": lambda graph, names: graph.add("Not", [graph.add("Equal", names)]),
    "rsqrt": lambda graph, names: graph.add("Reciprocal", [graph.add("Sqrt", names)]),
    "clamp": lambda graph, names: graph.add("Min", [graph.add("Max", names[:2]), names[2]]),
}  # fmt: skip

_OPERATIONS: dict[str, Callable] = {
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "convert_element_type": _cast,
    "copy": _same,
    "copy_p": _same,
    "dim_as_value": _dim_as_value,
    "dot_general": _dot,
    "expand_dims": _reshape,
    "gather": _gather,
    "iota": _iota,
    "pad": _pad,
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_window_max": _max_pool,
    "reshape": _reshape,
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "stop_gradient": _same,
    "transpose": _transpose,
}
