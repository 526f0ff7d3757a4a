"""Batch normalisation folded into the convolution before it: the same function, for inference.

A normalisation with running statistics is an affine map of each channel,

    norm(k * x + b) = (s k) * x + (s b + t)      s = scale / sqrt(var + eps)     t = bias - s mean

so the kernel takes the factor and one bias takes the rest. In folded variables such a norm has no
"scale" and no statistics; what is left of it is its "bias", or nothing where the convolution has a
bias of its own. What else is added to the sums that a norm takes is scaled along. The encoder's
stem is left alone: the decoder reads it before its normalisation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array

from i2uv_jax.models.hand_stage import KEYPOINT_ENCODER
from i2uv_jax.models.keypoint_encoder import KEYPOINT_FEATURES
from i2uv_jax.models.layers import BATCH_NORM_EPSILON

_KEPT = "stem_norm"


def fold_batch_norm(variables: dict[str, Any]) -> dict[str, Any]:
    """Folded variables; apply the model to them within `folded_norms`.

    Args:
      variables: "params" and "batch_stats" as the model's `init` makes them.

    Raises:
      ValueError: a normalisation follows no layer that could take it.
    """
    params = flatten_dict(variables.get("params", {}))
    statistics = flatten_dict(variables.get("batch_stats", {}))
    for norm in sorted({path[:-1] for path in statistics}):
        if norm[-1] == _KEPT:
            continue
        layer, *added = _layers_before(norm, params)
        mean, variance = (
            np.asarray(statistics.pop((*norm, name)), np.float64) for name in ("mean", "var")
        )
        scale = np.asarray(params.pop((*norm, "scale")), np.float64)
        factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
        bias = np.asarray(params.pop((*norm, "bias")), np.float64) - factor * mean
        params[*layer, "kernel"] = _scaled(params[*layer, "kernel"], factor)
        for path in added:
            params[path] = _scaled(params[path], factor)
        own_bias = params.get((*layer, "bias"))
        if own_bias is None:
            params[*norm, "bias"] = bias.astype(np.float32)
        else:
            total = bias + factor * np.asarray(own_bias, np.float64)
            params[*layer, "bias"] = total.astype(np.float32)
    folded = {"params": unflatten_dict(params), "batch_stats": unflatten_dict(statistics)}
    return {name: values for name, values in folded.items() if values}


@contextmanager
def folded_norms() -> Iterator[None]:
    """Within it, models applied to folded variables only add what a norm's bias has left over."""
    with nn.intercept_methods(_call_norm):
        yield


def _call_norm(call: Callable, args: tuple, kwargs: dict, context: Any) -> Array:
    norm = context.module
    if not isinstance(norm, nn.BatchNorm) or norm.has_variable("params", "scale"):
        return call(*args, **kwargs)
    (x,) = args
    bias = norm.get_variable("params", "bias")
    return x if bias is None else x + bias.astype(x.dtype)


def _scaled(parameter: Array, factor: np.ndarray) -> np.ndarray:
    return (np.asarray(parameter, np.float64) * factor).astype(np.float32)


def _layers_before(norm: tuple[str, ...], params: dict) -> list[tuple[str, ...]]:
    """The layer whose sums the norm takes, and all parameters of what is added to those sums."""
    for name in (norm[-1].replace("norm", "conv"), "dense"):
        if (*norm[:-1], name, "kernel") in params:
            told = (*norm[:-1], KEYPOINT_ENCODER, KEYPOINT_FEATURES)
            added = [path for path in params if path[:-1] == told] if name == "dense" else []
            return [(*norm[:-1], name), *added]
    raise ValueError(f"{'/'.join(norm)}: no convolution before it to fold it into")
