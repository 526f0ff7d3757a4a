"""The gradient of a batch's loss: at once, or microbatch by microbatch where memory is short.

Microbatches run one after the other within one step, and gradients and loss terms are their means.
That is the gradient of the whole batch, but for two things:

- Batch norm normalises each microbatch with its own statistics (over all devices). All microbatches
  start from the running statistics before the step, which then take *one* update, towards the mean
  of the microbatches' statistics: the momentum counts steps, whatever the number of microbatches.
- A loss whose mask differs from picture to picture weighs microbatches equally, not elements. The
  package's own losses mask texels alike in all pictures.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Float

from i2uv_jax.training.sharding import microbatch_sharding, replicated
from i2uv_jax.types import TrainingBatch

Metrics = dict[str, Float[Array, ""]]
LossFunction = Callable[[Any, TrainingBatch], tuple[Float[Array, ""], Metrics]]
"""Maps a model's output and its batch to the loss, and to its terms (and "total") by name."""
GradientFunction = Callable[
    [dict, dict, TrainingBatch], tuple[dict[str, Any], Metrics, dict[str, Any]]
]
"""Maps parameters, running statistics and a batch to the gradient, the loss's terms and the new
running statistics."""


def picture_alone(batch: TrainingBatch) -> tuple[Array]:
    """What most networks are given of a batch."""
    return (batch.network_input,)


def build_gradient(
    model: nn.Module,
    compute_loss: LossFunction,
    *,
    network_inputs: Callable[[TrainingBatch], tuple[Array, ...]] = picture_alone,
    num_microbatches: int = 1,
    mesh: Mesh | None = None,
) -> GradientFunction:
    """The function that computes a batch's gradient. Jit-able.

    Args:
      network_inputs: what the model is given of a (micro)batch, its arguments in their order.
      num_microbatches: in how many pieces; it has to divide the batch.
      mesh: the devices that share the work: each computes with whole parameters, gathered from
        where they lie, on its own pictures. None leaves that to the compiler.
    """

    def gradient_of(params: dict, batch_stats: dict, batch: TrainingBatch):
        def loss_of(params):
            output, updated = model.apply(
                {"params": params, "batch_stats": batch_stats},
                *network_inputs(batch),
                train=True,
                mutable=["batch_stats"],
            )
            loss, terms = compute_loss(output, batch)
            return loss, (terms, updated.get("batch_stats", {}))

        # Without this the compiler may as well split a convolution's channels as gather its kernel.
        if mesh is not None:
            params = jax.lax.with_sharding_constraint(params, replicated(mesh))
        (_, (terms, new_stats)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        return gradient, terms, new_stats

    def mean_of_microbatches(params: dict, batch_stats: dict, batch: TrainingBatch):
        microbatches = _split(batch, num_microbatches, mesh)
        first = jax.tree.map(lambda leaf: leaf[0], microbatches)
        shapes = jax.eval_shape(gradient_of, params, batch_stats, first)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        def add(total, microbatch):
            part = gradient_of(params, batch_stats, microbatch)
            return jax.tree.map(jnp.add, total, part), None

        total, _ = jax.lax.scan(add, zeros, microbatches)
        return jax.tree.map(lambda leaf: leaf / num_microbatches, total)

    return gradient_of if num_microbatches == 1 else mean_of_microbatches


def _split(batch: TrainingBatch, count: int, mesh: Mesh | None) -> TrainingBatch:
    """Leaves (b, ...) as (count, b / count, ...).

    Microbatch i takes every count-th picture from the i-th on: it then has as many on each device
    as any other, and no picture changes devices.
    """

    def split(leaf: Array) -> Array:
        parts = jnp.swapaxes(leaf.reshape(-1, count, *leaf.shape[1:]), 0, 1)
        if mesh is None:
            return parts
        return jax.lax.with_sharding_constraint(parts, microbatch_sharding(mesh))

    return jax.tree.map(split, batch)
