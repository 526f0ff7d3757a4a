"""What sets one kind of training apart from another; all else of a run is common to them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, UInt8

from i2uv_jax.training.gradient import LossFunction, picture_alone
from i2uv_jax.types import TrainingBatch

Scores = dict[str, float]


@dataclass(frozen=True)
class Task:
    """A network's loss, and how it is measured and shown."""

    compute_loss: LossFunction
    evaluation_step: Callable
    """(variables, batch) to what `draw` shows (a pytree of batched arrays) and named arrays with
    one row for each picture (of the batch, or of a kind that its name says), of which `summarize`
    makes scores. Pure and jit-able."""
    summarize: Callable[[dict[str, np.ndarray]], Scores]
    """The named arrays of the whole evaluation set, on the host, to its scores."""
    describe: Callable[[Scores], str]
    """The scores in a few words."""
    error: Callable[[Scores], float]
    """What the best of a run's states has least of."""
    draw: Callable[..., UInt8[np.ndarray, "h w 3"]]
    """(batch, prediction), a few pictures of each on the host, to one picture."""
    network_inputs: Callable[[TrainingBatch], tuple[Array, ...]] = picture_alone
    """What the network is given of a batch to train on: its arguments, in their order."""


def means(rows: dict[str, np.ndarray]) -> Scores:
    """Scores that are means over the evaluation set."""
    return {name: float(values.mean()) for name, values in rows.items()}
