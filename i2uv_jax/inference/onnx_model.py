"""A traced JAX function as an ONNX model, with the batch size left open.

Existing converters want other versions of JAX or Orbax than we do. Needs the extra `onnx`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import numpy as np
import onnx
from jax import export as jax_export
from onnx import helper, numpy_helper

from i2uv_jax.inference.onnx_graph import Graph, Value
from i2uv_jax.inference.onnx_operations import converted

OPSET = 21
_IR_VERSION = 10


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
      UnsupportedModelError: the function holds an operation that `onnx_operations` does not know.
    """
    (batch,) = jax_export.symbolic_shape("batch")
    specs = [jax.ShapeDtypeStruct((batch, *shape), dtype) for shape, dtype in inputs.values()]
    closed, named = jax.make_jaxpr(function, return_shape=True)(*specs)
    graph = Graph(batch, next(iter(inputs)))
    given = [Value(name, spec.shape) for name, spec in zip(inputs, specs, strict=True)]
    # JAX flattens dictionaries in the order of their sorted keys.
    results = zip(
        sorted(named), _add_jaxpr(graph, closed, given), closed.jaxpr.outvars, strict=True
    )
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


def _add_jaxpr(graph: Graph, closed: Any, inputs: list[Value]) -> list[Value]:
    """Adds what computes a closed jaxpr and those within it; returns its outputs."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, constant in zip(jaxpr.constvars, closed.consts, strict=True):
        values[variable] = Value.constant(constant)

    def read(variable: Any) -> Value:
        literal = isinstance(variable, jax.extend.core.Literal)
        return Value.constant(variable.val) if literal else values[variable]

    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        made = _add_equation(graph, equation, given)
        values.update(zip(equation.outvars, made, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _add_equation(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    inner = _inner(equation)
    if inner is not None:
        return _add_jaxpr(graph, inner, inputs)
    return converted(graph, equation, inputs)


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
