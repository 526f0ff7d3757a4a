"""The optimiser of a run, from its config: gradient clipping, Adam or AdamW, cosine schedule."""

from typing import Any

import jax
import optax

from i2uv_jax.config import OptimConfig


def learning_rate_schedule(config: OptimConfig, num_steps: int) -> optax.Schedule:
    """Linear warm-up from 0, then half a cosine to the end value at `num_steps`."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if config.warmup_steps else config.peak_learning_rate,
        peak_value=config.peak_learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=num_steps,
        end_value=config.end_learning_rate,
    )


def build_optimizer(config: OptimConfig, num_steps: int) -> optax.GradientTransformation:
    """The gradient transformation whose state a `TrainState` carries."""
    schedule = learning_rate_schedule(config, num_steps)
    moments = {"b1": config.beta1, "b2": config.beta2, "eps": config.epsilon}
    if config.algorithm == "adamw":
        algorithm = optax.adamw(
            schedule, weight_decay=config.weight_decay, mask=_is_kernel, **moments
        )
    else:
        algorithm = optax.adam(schedule, **moments)
    if config.clip_norm is None:
        return algorithm
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), algorithm)


def _is_kernel(params: dict[str, Any]) -> dict[str, Any]:
    """True for the weights that decay: biases and norms have a single axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
