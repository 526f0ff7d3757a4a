"""The state of a training run: everything that a step changes and a checkpoint keeps."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Int

from i2uv_jax.config import AnyExperimentConfig
from i2uv_jax.models.networks import build_network
from i2uv_jax.training.optimizer import build_optimizer

_EMA_WARMUP_STEPS = 10
"""Sets how fast the average's memory grows from nothing to its full length."""


@struct.dataclass
class TrainState:
    """Parameters, running statistics and optimiser state after `step` steps; a plain pytree."""

    step: Int[Array, ""]
    """Number of steps taken, which is also the number of the step to take next."""
    params: dict[str, Any]
    batch_stats: dict[str, Any]
    opt_state: optax.OptState
    average: dict[str, Any] | None
    """Exponential moving average of {"params", "batch_stats"}; None if the run keeps none."""

    @property
    def variables(self) -> dict[str, Any]:
        """The model's variables as they are trained."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def best_variables(self) -> dict[str, Any]:
        """The variables to evaluate and to hand out: the average if there is one."""
        return self.variables if self.average is None else self.average


def init_state(key: Array, config: AnyExperimentConfig) -> TrainState:
    """The state before the first step, of random weights. Jit-able with the config static."""
    size = config.model.input_size
    image = jnp.zeros((1, size, size, 3))
    return first_state(build_network(config.model).init(key, image, train=False), config)


def first_state(variables: dict[str, Any], config: AnyExperimentConfig) -> TrainState:
    """The state before the first step, of given weights. Jit-able with the config static."""
    optimizer = build_optimizer(config.optim, config.train.num_steps)
    params, batch_stats = variables["params"], variables.get("batch_stats", {})
    # The average starts as a copy: sharing buffers with the parameters would donate them twice.
    average = jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        average=average if config.train.ema_decay is not None else None,
    )


def update_average(
    average: dict[str, Any], variables: dict[str, Any], step: Int[Array, ""], decay: float
) -> dict[str, Any]:
    """One step of the exponential moving average.

    The decay starts low, `(1 + step) / (10 + step)`, so that the random initial weights are
    forgotten within the first steps rather than within `1 / (1 - decay)`. Running statistics are
    averaged too: those of the averaged network, not of the last step's, must go with its weights.
    """
    decay_now = jnp.minimum(decay, (1 + step) / (_EMA_WARMUP_STEPS + step))
    return jax.tree.map(lambda old, new: old + (1 - decay_now) * (new - old), average, variables)
