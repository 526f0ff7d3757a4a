"""Detectors' programs: each sees one picture at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from i2uv_jax.ops.compiling import compiler_options


def compile_for_one_picture(find: Callable, variables: dict, size: int) -> jax.stages.Compiled:
    """A function of variables and (1, size, size, 3) bytes, ahead of time."""
    pixels = jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)
    return jax.jit(find).lower(variables, pixels).compile(compiler_options())
