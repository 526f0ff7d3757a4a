"""The same work on each picture of a batch, as a processor likes it best."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree


def each_picture(function: Callable[..., PyTree[Array]], *batch: PyTree[Array]) -> PyTree[Array]:
    """`jax.vmap(function)(*batch)`; on CPUs the pictures come one after the other.

    So one picture's planes stay in a core's cache, and what most pictures do without is skipped:
    `jax.lax.cond` under `vmap` works both sides out.
    """

    def one_by_one(*batch: PyTree[Array]) -> PyTree[Array]:
        return jax.lax.map(lambda one: function(*one), batch)

    return jax.lax.platform_dependent(*batch, cpu=one_by_one, default=jax.vmap(function))
