"""Weights drawn at once, for timing and testing: a network's own initialisers compile for long."""

from typing import Any

import jax
import numpy as np

from i2uv_jax.models.confidence import CONFIDENCE
from i2uv_jax.models.networks import NetworkConfig
from i2uv_jax.models.uv_decoder import PULL_FEATURES, PULL_FOLLOWED
from i2uv_jax.models.weights import variable_shapes

_COORDINATES = (
    "rotation", "place", "log_scale", "bend", "head", PULL_FEATURES, PULL_FOLLOWED, CONFIDENCE
)  # fmt: skip
"""Layers that say coordinates, or what coordinates and logarithms of errors are multiplied by."""


def random_variables(config: NetworkConfig, seed: int = 0) -> dict[str, Any]:
    """Variables as `build_network(config).init` shapes them (NumPy): He-normal kernels, no biases.

    UV maps stay inside the picture (0.5 plus a little), as trained ones do: sampling at points far
    outside would blow rounding errors up.
    """
    rng = np.random.default_rng(seed)

    def draw(path: tuple, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        names = [part.key for part in path]
        gives_coordinates = any(name in _COORDINATES for name in names) or "sr_net" in names
        if names[-1] == "kernel":
            deviation = (0.05 if gives_coordinates else 1) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return rng.normal(0, deviation, leaf.shape).astype(np.float32)
        if "head" in names:
            return np.full(leaf.shape, 0.5, np.float32)
        if names[-2:] == ["norm3", "scale"]:  # Else each bottleneck would double the variance.
            return np.full(leaf.shape, 0.2, np.float32)
        return np.full(leaf.shape, names[-1] in ("scale", "var"), np.float32)

    return jax.tree.map_with_path(draw, variable_shapes(config))
