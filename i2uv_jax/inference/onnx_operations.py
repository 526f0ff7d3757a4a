"""Operations of JAX as nodes of an ONNX graph, one small function each.

Covers what this package's networks consist of, and names what it does not know. Values that only
depend on weights are computed here. Convolutions work channels first between two transposes, which
onnxruntime moves and cancels when it loads the graph.

Needs the extra `onnx`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from onnx import helper

from i2uv_jax.inference.onnx_graph import Graph, Value
from i2uv_jax.inference.runtime_errors import UnsupportedModelError

_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def converted(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    """Adds what computes an equation of a jaxpr; returns its outputs.

    Raises:
      UnsupportedModelError: it is an operation, or a form of one, that this module does not know.
    """
    name = equation.primitive.name
    if name == "broadcast_in_dim":
        return [_broadcast(graph, equation, inputs[0])]
    avals = [variable.aval for variable in equation.invars]
    outputs = [variable.aval for variable in equation.outvars]
    if (
        inputs
        and all(value.is_constant for value in inputs)
        and all(isinstance(side, int) for aval in (*avals, *outputs) for side in aval.shape)
    ):
        arrays = [np.broadcast_to(v.content, a.shape) for v, a in zip(inputs, avals, strict=True)]
        result = equation.primitive.bind(*arrays, **equation.params)
        results = result if equation.primitive.multiple_results else [result]
        return [Value.constant(array) for array in results]
    if name in _ELEMENTWISE:
        return [graph.elementwise(_ELEMENTWISE[name], inputs, outputs[0])]
    if name not in _OPERATIONS:
        raise UnsupportedModelError(
            "ONNX", f"the operation {name!r} of JAX {jax.__version__} is unknown"
        )
    return _OPERATIONS[name](graph, equation, inputs)


def _broadcast(graph: Graph, equation: Any, value: Value) -> Value:
    shape = equation.params["shape"]
    stored = [1] * len(shape)
    for axis, side in zip(equation.params["broadcast_dimensions"], value.shape, strict=True):
        stored[axis] = side
    return value if tuple(stored) == tuple(value.shape) else graph.reshape(value, tuple(stored))


def _out(equation: Any, name: str, index: int = 0) -> Value:
    return Value(name, tuple(equation.outvars[index].aval.shape))


def _dense_inputs(graph: Graph, equation: Any, inputs: list[Value]) -> list[str]:
    return [graph.dense(v, x.aval) for v, x in zip(inputs, equation.invars, strict=True)]


def _cast(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    (value,) = inputs
    target = helper.np_dtype_to_tensor_dtype(np.dtype(equation.params["new_dtype"]))
    return [Value(graph.add("Cast", [graph.name_of(value)], to=target), value.shape)]


def _same(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    return inputs


def _reshape(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    name = graph.dense(inputs[0], equation.invars[0].aval)
    shape = equation.outvars[0].aval.shape
    return [graph.reshape(Value(name, equation.invars[0].aval.shape), tuple(shape))]


def _transpose(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    (value,), order = inputs, equation.params["permutation"]
    name = graph.add("Transpose", [graph.name_of(value)], perm=order)
    return [Value(name, tuple(value.shape[axis] for axis in order))]


def _slice(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    params, aval = equation.params, equation.invars[0].aval
    strides = params["strides"] or (1,) * aval.ndim
    bounds = list(zip(params["start_indices"], params["limit_indices"], strides, strict=True))
    axes = [i for i, (low, high, step) in enumerate(bounds)
            if (low, step) != (0, 1) or high != aval.shape[i]]  # fmt: skip
    name = graph.dense(inputs[0], aval)
    starts, ends, steps = ([bounds[i][k] for i in axes] for k in range(3))
    operands = [graph.ints(values) for values in (starts, ends, axes, steps)]
    return [_out(equation, graph.add("Slice", [name, *operands]))]


def _concatenate(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    names = _dense_inputs(graph, equation, inputs)
    return [_out(equation, graph.add("Concat", names, axis=equation.params["dimension"]))]


def _stack(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    axis = equation.params["axis"]
    names = _dense_inputs(graph, equation, inputs)
    wide = [graph.add("Unsqueeze", [name, graph.ints([axis])]) for name in names]
    return [_out(equation, graph.add("Concat", wide, axis=axis))]


def _split(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    (name,) = _dense_inputs(graph, equation, inputs)
    sizes = [int(size) for size in equation.params["sizes"]]
    names = graph.add("Split", [name, graph.ints(sizes)], num_outputs=len(sizes),
                      axis=equation.params["axis"])  # fmt: skip
    return [_out(equation, name, index) for index, name in enumerate(names)]


def _pad(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    config = [tuple(int(n) for n in axis) for axis in equation.params["padding_config"]]
    if any(inner or low < 0 or high < 0 for low, high, inner in config):
        raise UnsupportedModelError("ONNX", "only padding around the edges is known")
    name, fill = _dense_inputs(graph, equation, inputs)
    pads = graph.ints([low for low, _, _ in config] + [high for _, high, _ in config])
    return [_out(equation, graph.add("Pad", [name, pads, fill]))]


def _iota(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    shape, axis = equation.params["shape"], equation.params["dimension"]
    scalar = graph.ints([])
    start, step = (graph.name_of(Value.constant(np.int64(n))) for n in (0, 1))
    end = graph.add("Reshape", [graph.batch_multiple(shape[axis]), scalar])
    count = graph.add("Range", [start, end, step])
    target = helper.np_dtype_to_tensor_dtype(np.dtype(equation.params["dtype"]))
    value = Value(graph.add("Cast", [count], to=target), (shape[axis],))
    stored = tuple(side if i == axis else 1 for i, side in enumerate(shape))
    return [value if len(shape) == 1 else graph.reshape(value, stored)]


def _dim_as_value(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    name = graph.add("Reshape", [graph.batch_multiple(equation.params["dim"]), graph.ints([])])
    target = helper.np_dtype_to_tensor_dtype(equation.outvars[0].aval.dtype)
    return [_out(equation, graph.add("Cast", [name], to=target))]


def _reduce(operation: str) -> Callable:
    def convert(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
        (name,) = _dense_inputs(graph, equation, inputs)
        axes = graph.ints(list(equation.params["axes"]))
        return [_out(equation, graph.add(operation, [name, axes], keepdims=0))]

    return convert


def _convolution(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    params = equation.params
    numbers = params["dimension_numbers"]
    plain = params["feature_group_count"] == params["batch_group_count"] == 1
    nhwc = numbers.lhs_spec == numbers.out_spec == _TO_NCHW and numbers.rhs_spec == (3, 2, 0, 1)
    if not (plain and nhwc and set(params["lhs_dilation"]) == {1} and inputs[1].is_constant):
        raise UnsupportedModelError(
            "ONNX", "only plain convolutions of channels-last pictures are known"
        )
    image = graph.add("Transpose", [graph.dense(inputs[0], equation.invars[0].aval)], perm=_TO_NCHW)
    kernel = graph.name_of(Value.constant(np.transpose(inputs[1].content, (3, 2, 0, 1))))
    (top, bottom), (left, right) = params["padding"]
    result = graph.add(
        "Conv",
        [image, kernel],
        strides=params["window_strides"],
        dilations=params["rhs_dilation"],
        pads=[top, left, bottom, right],
    )
    return [_out(equation, graph.add("Transpose", [result], perm=_TO_NHWC))]


def _max_pool(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    params = equation.params
    window, strides = params["window_dimensions"], params["window_strides"]
    (name,) = _dense_inputs(graph, equation, inputs)
    image = graph.add("Transpose", [name], perm=_TO_NCHW)
    (top, bottom), (left, right) = params["padding"][1:3]
    result = graph.add("MaxPool", [image], kernel_shape=window[1:3], strides=strides[1:3],
                       pads=[top, left, bottom, right])  # fmt: skip
    return [_out(equation, graph.add("Transpose", [result], perm=_TO_NHWC))]


def _dot(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
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


def _gather(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    """One window at a known place, or whole slices along one axis by an array of indices."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    source, places = (variable.aval for variable in equation.invars)
    name, axes = graph.dense(inputs[0], source), numbers.start_index_map
    whole = [size == side for size, side in zip(sizes, source.shape, strict=True)]
    if inputs[1].is_constant and places.ndim == 1:
        starts = np.broadcast_to(inputs[1].content, places.shape)
        ends = starts + np.array([sizes[axis] for axis in axes])
        window = graph.add("Slice", [name, *(graph.ints(v) for v in (starts, ends, axes))])
        return [graph.reshape(Value(window, tuple(sizes)), tuple(equation.outvars[0].aval.shape))]
    axis = axes[0]
    # ONNX puts the indices' axes in place of the axis, which is where `take` wants them, too.
    num_axes = places.ndim - 1
    here = tuple(i for i in range(source.ndim - 1 + num_axes) if not axis <= i < axis + num_axes)
    taken = axes == numbers.collapsed_slice_dims == (axis,) and not numbers.operand_batching_dims
    if not (taken and all(whole[:axis] + whole[axis + 1 :]) and numbers.offset_dims == here):
        raise UnsupportedModelError("ONNX", f"unknown kind of indexing: {numbers}")
    index = graph.reshape(Value(graph.dense(inputs[1], places), places.shape), places.shape[:-1])
    return [_out(equation, graph.add("Gather", [name, graph.name_of(index)], axis=axis))]


def _select(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
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
