"""One training step as a pure function of state and batch.

Jit, donation and sharding are the caller's business (`program.py`); it also runs without them.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax

from i2uv_jax.training.gradient import GradientFunction, Metrics
from i2uv_jax.training.state import TrainState, update_average
from i2uv_jax.types import TrainingBatch


def build_train_step(
    optimizer: optax.GradientTransformation,
    gradient_of: GradientFunction,
    *,
    average_decay: float | None,
    skip_above: float | None = None,
) -> Callable[[TrainState, TrainingBatch], tuple[TrainState, Metrics]]:
    """The function that takes one step.

    Its metrics are "loss/NAME" for each loss term and their sum "loss/total", and "gradient_norm"
    (before clipping).

    Args:
      gradient_of: see `gradient.py`.
      average_decay: of the moving average of the weights; None for a state without one.
      skip_above: a step whose loss is above this, or whose loss or gradient is not finite, leaves
        everything but the step's number as it was, and the metric "skipped" is 1 instead of 0.
        None takes every step.
    """

    def train_step(state: TrainState, batch: TrainingBatch) -> tuple[TrainState, Metrics]:
        gradient, terms, batch_stats = gradient_of(state.params, state.batch_stats, batch)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            variables = {"params": params, "batch_stats": batch_stats}
            average = update_average(average, variables, state.step, average_decay)
        new_state = TrainState(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            average=average,
        )
        metrics = {
            "gradient_norm": optax.tree.norm(gradient),
            **{f"loss/{name}": value for name, value in terms.items()},
        }
        if skip_above is not None:
            # Written so that NaN is no good step; infinity is none for any limit.
            is_good = (terms["total"] <= skip_above) & jnp.isfinite(metrics["gradient_norm"])
            is_good &= jnp.isfinite(terms["total"])
            kept = state.replace(step=state.step + 1)
            new_state = jax.tree.map(partial(jnp.where, is_good), new_state, kept)
            metrics["skipped"] = 1 - is_good.astype(jnp.float32)
        return new_state, metrics

    return train_step
