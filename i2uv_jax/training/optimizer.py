"""The optimiser of a run, from its config: gradient clipping, algorithm, cosine schedule."""

from typing import Any

import jax
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from optax.contrib import MuonDimensionNumbers, muon

from i2uv_jax.config import OptimConfig


def learning_rate_schedule(
    config: OptimConfig, num_steps: int, *, scale: float = 1.0
) -> optax.Schedule:
    """Linear warm-up from 0, then half a cosine to the end value at `num_steps`; all scaled."""
    peak = scale * config.peak_learning_rate
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if config.warmup_steps else peak,
        peak_value=peak,
        warmup_steps=config.warmup_steps,
        decay_steps=num_steps,
        end_value=scale * config.end_learning_rate,
    )


def build_optimizer(config: OptimConfig, num_steps: int) -> optax.GradientTransformation:
    """The gradient transformation whose state a `TrainState` carries."""
    schedule = learning_rate_schedule(config, num_steps)
    moments = {"b1": config.beta1, "b2": config.beta2, "eps": config.epsilon}
    if config.algorithm == "adamw":
        algorithm = optax.adamw(
            schedule, weight_decay=config.weight_decay, mask=_is_kernel, **moments
        )
    elif config.algorithm == "lamb":
        algorithm = optax.chain(
            optax.scale_by_adam(**moments),
            optax.add_decayed_weights(config.weight_decay, _is_kernel),
            # As its authors do (You et al. 2020), unlike `optax.lamb`: a bias that starts at zero
            # would be held there by its own norm.
            optax.masked(optax.scale_by_trust_ratio(), _is_kernel),
            optax.scale_by_learning_rate(schedule),
        )
    elif config.algorithm == "muon":
        adam_schedule = learning_rate_schedule(config, num_steps, scale=config.adam_share)
        algorithm = muon(
            schedule,
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            adam_b1=config.beta1,
            adam_b2=config.beta2,
            adam_learning_rate=adam_schedule,
            muon_weight_dimension_numbers=muon_dimensions,
        )
    else:
        algorithm = optax.adam(schedule, **moments)
    if config.clip_norm is None:
        return algorithm
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), algorithm)


def _is_kernel(params: dict[str, Any]) -> dict[str, Any]:
    """False for biases and norms, which have a single axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def muon_dimensions(params: dict[str, Any]) -> dict[str, Any]:
    """Muon for convolutions that a norm follows; None, and so Adam, for everything else.

    A norm takes the scale out of its convolution, so that orthogonal steps of any size are safe
    there; heads and SRNet, whose outputs are coordinates, need small ones.
    """
    flat = flatten_dict(params)

    def dimensions(path: tuple[str, ...], leaf: Any) -> Any:
        if isinstance(leaf, optax.MaskedNode):
            return leaf  # optax asks again with what Adam takes masked out
        *parents, layer, leaf_name = ("", *path)
        norm = (*parents[1:], layer.replace("conv", "norm"), "scale")
        if leaf_name == "kernel" and leaf.ndim == 4 and norm in flat:
            return MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=(3,))
        return None

    return unflatten_dict({path: dimensions(path, leaf) for path, leaf in flat.items()})
