"""Scores on the whole evaluation set, and pictures that show them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import UInt8

from i2uv_jax.data.source import BatchSource
from i2uv_jax.training.sharding import replicated
from i2uv_jax.training.task import Scores, Task

_NUM_PICTURES = 4


def evaluate(task: Task, evaluation_step: Callable, variables: dict, source: BatchSource) -> Scores:
    """A task's scores over the evaluation set; `evaluation_step` is the task's, compiled."""
    collected: dict[str, list[np.ndarray]] = {}
    for batch in source.evaluation_batches():
        _, rows = evaluation_step(variables, batch)
        for name, values in rows.items():
            collected.setdefault(name, []).append(np.asarray(values))
    return task.summarize({name: np.concatenate(parts) for name, parts in collected.items()})


def batch_picture(
    task: Task, evaluation_step: Callable, variables: dict, batch: Any, mesh: Mesh
) -> UInt8[np.ndarray, "h w 3"]:
    """The first pictures of a batch with what the model makes of them."""
    prediction, _ = evaluation_step(variables, batch)
    # A few rows of the many: no process needs the others' pictures.
    first = jax.jit(_first_rows, out_shardings=replicated(mesh))((batch, prediction))
    return task.draw(*jax.device_get(first))


def _first_rows(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[:_NUM_PICTURES], tree)
