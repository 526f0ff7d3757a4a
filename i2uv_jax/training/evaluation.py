"""Errors on the whole evaluation set, and pictures that show them."""

from collections.abc import Callable

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, UInt8

from i2uv_jax.data.source import BatchSource
from i2uv_jax.training.sharding import on_every_process
from i2uv_jax.types import Batch

_NUM_PICTURES = 4


def evaluate(evaluation_step: Callable, variables: dict, source: BatchSource) -> dict[str, float]:
    """Means over the evaluation set of every error that `evaluation_step` measures, in mm."""
    collected: dict[str, list[np.ndarray]] = {}
    for batch in source.evaluation_batches():
        _, errors = evaluation_step(variables, batch)
        for name, values in errors.items():
            collected.setdefault(name, []).append(np.asarray(values))
    return {name: float(np.concatenate(parts).mean()) for name, parts in collected.items()}


def batch_picture(
    evaluation_step: Callable, variables: dict, batch: Batch, mesh: Mesh
) -> UInt8[np.ndarray, "h w 3"]:
    """The first pictures of a batch, each with its predicted and true UV map, one below another."""
    uv_map, _ = evaluation_step(variables, batch)
    columns = on_every_process((batch.image, uv_map, batch.uv_map), mesh)
    rows = zip(*(np.asarray(column[:_NUM_PICTURES]) for column in columns), strict=True)
    return np.concatenate([comparison_picture(*row) for row in rows])


def comparison_picture(
    image: Float[np.ndarray, "h w 3"],
    predicted_uv_map: Float[np.ndarray, "m m 3"],
    true_uv_map: Float[np.ndarray, "m m 3"],
) -> UInt8[np.ndarray, "h 3*w 3"]:
    """Input, predicted and true UV map side by side, the maps as colours.

    Red is x, green is y, blue is z; z counts from the wrist and is shown around mid-blue.
    """
    height, width = image.shape[:2]
    panels = [image]
    for uv_map in (predicted_uv_map, true_uv_map):
        rows = np.arange(height) * uv_map.shape[0] // height
        columns = np.arange(width) * uv_map.shape[1] // width
        panels.append(uv_map[rows][:, columns] + np.array([0.0, 0.0, 0.5]))
    return (255 * np.clip(np.concatenate(panels, axis=1), 0, 1)).round().astype(np.uint8)
