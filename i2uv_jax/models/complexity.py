"""Parameters and floating-point operations of a model, part by part.

Only convolutions and fully connected layers count, a multiplication and an addition as two
operations, as such tables do: normalisation, resizing and sampling add about a hundredth. They are
counted in the traced program (the jaxpr) of one picture, so no formula here can drift from the
network.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from i2uv_jax.config import HandNetConfig
from i2uv_jax.models.hand_net import build_model


@dataclass(frozen=True)
class PartComplexity:
    """One row of the table."""

    part: str
    """Name in the variables, such as "affine_net/encoder", "affine_net/stage1" or "sr_net"."""
    parameters: int
    """Trained values; running statistics do not count."""
    flops: int
    """Floating-point operations for one picture."""


def model_complexity(config: HandNetConfig) -> tuple[PartComplexity, ...]:
    """The parts of a model in the order they run; sum them up with `total_complexity`.

    Traces the model only; takes a second or two.
    """
    # Convolutions have to appear as such.
    model = build_model(dataclasses.replace(config, cpu_paths="off"))
    image = jax.ShapeDtypeStruct((1, config.input_size, config.input_size, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
    program = jax.make_jaxpr(lambda v, x: model.apply(v, x, train=False))(variables, image)

    flat = flatten_dict(variables["params"])
    parameters: defaultdict[str, int] = defaultdict(int)
    for path, leaf in flat.items():
        parameters[_part_of(path)] += math.prod(leaf.shape)
    layers = {path[:-1] for path in flat if path[-1] == "kernel"}
    flops: defaultdict[str, int] = defaultdict(int)
    for scope, operations in _products(program.jaxpr):
        # Resizing and turning are matrix products as well, but of no layer's kernel.
        if scope in layers:
            flops[_part_of(scope)] += operations
    # The first layer of each part gives the order.
    return tuple(PartComplexity(part, parameters[part], flops[part]) for part in flops)


def total_complexity(parts: tuple[PartComplexity, ...]) -> PartComplexity:
    """The last line of the table."""
    return PartComplexity(
        "total", sum(part.parameters for part in parts), sum(part.flops for part in parts)
    )


def flops_per_picture(parts: tuple[PartComplexity, ...], looks: int) -> int:
    """Of all looks at a picture; SRNet works on the last one's map alone."""
    return sum(part.flops * (1 if part.part == "sr_net" else looks) for part in parts)


def _part_of(path: tuple[str, ...]) -> str:
    return "/".join(path[:2]) if path[0] == "affine_net" else path[0]


def _products(jaxpr: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    """(module path, operations) of every convolution and matrix product of a traced program,
    nested ones included."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out_channels = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            per_output = 2 * math.prod(kernel) // out_channels
            yield _module_path(equation), per_output * math.prod(equation.outvars[0].aval.shape)
        elif equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            per_output = 2 * math.prod(shape[axis] for axis in contracted)
            yield _module_path(equation), per_output * math.prod(equation.outvars[0].aval.shape)
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _products(inner)


def _module_path(equation: Any) -> tuple[str, ...]:
    """Names of the modules an equation was traced in, as they stand in the variables."""
    scopes = str(equation.source_info.name_stack).split("/")
    # Flax opens one scope per module call: "HandNet", then the submodules by name.
    return tuple(scope for scope in scopes if scope and not scope[0].isupper())
