"""Steps whose loss is not finite or has exploded: found, put on disk for study, answered.

Whether the update of such a step is skipped is decided on the device (`step.py`); here the run
learns of it, one step later.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import TrainConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.training.processes import is_first_process
from i2uv_jax.training.sharding import on_every_process
from i2uv_jax.types import TrainingBatch

MAX_SKIPPED_IN_A_ROW = 10
"""More bad steps than this, one after the other, stop a run that skips them."""


class DivergedError(RuntimeError):
    """The run cannot go on; the message names step, term, batch and where the batch was saved."""


class BadStepWatch:
    """Looks at every step's metrics."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        save_batch: Callable[[int], Path],
        say: Callable[[str], None],
    ) -> None:
        """Looks after a run.

        Args:
          save_batch: puts a step's batch on disk and returns where; may raise OSError.
          say: takes a line about each skipped step.
        """
        self._config = config
        self._save_batch = save_batch
        self._say = say
        self._num_in_a_row = 0
        self.num_skipped = 0
        """Steps so far, since the run was started or resumed, whose updates were skipped."""

    def check(self, step: int, values: dict[str, float]) -> None:
        """Takes a step's metrics as `step.py` names them.

        Raises:
          DivergedError: the step is bad, and bad steps stop the run or have become too many.
        """
        cause = self._cause(values)
        if cause is None:
            self._num_in_a_row = 0
            return
        self._num_in_a_row += 1
        what = f"step {step}: {cause}"
        if self._num_in_a_row == 1:
            what = f"{what}; {self._save(step)}"
        if self._config.bad_steps == "skip":
            if self._num_in_a_row <= MAX_SKIPPED_IN_A_ROW:
                self.num_skipped += 1
                self._say(f"{what}; update skipped ({self._num_in_a_row} in a row)")
                return
            what = f"{what}; {self._num_in_a_row} bad steps in a row"
        raise DivergedError(
            f"{what}; the newest checkpoint is from before. Lower optim.peak_learning_rate or set "
            f"optim.clip_norm"
        )

    def _cause(self, values: dict[str, float]) -> str | None:
        # A term tells where to look, its sum or the gradient only that something is wrong.
        for name in sorted(values, key=lambda name: name in ("loss/total", "gradient_norm")):
            if not math.isfinite(values[name]):
                return f"{name} is {values[name]}"
        total, limit = values["loss/total"], self._config.max_loss
        if limit is not None and total > limit:
            return f"loss/total is {total:.4g}, above train.max_loss={limit:g}"
        return None

    def _save(self, step: int) -> str:
        batch = f"its batch (train.seed={self._config.seed}, step {step})"
        try:
            return f"{batch} is in {self._save_batch(step)}"
        except OSError as error:
            return f"{batch} could not be saved ({error})"


def save_batch(
    folder: Path, source: BatchSource, mesh: Mesh, config: TrainConfig, step: int
) -> Path:
    """Puts a step's batch into a run's folder and returns where.

    It was not kept: its source makes it again. All processes have to call together.
    """
    path = folder / f"bad_step_{step}.npz"
    batch = on_every_process(source.training_batch(step), mesh)
    if is_first_process():
        write_batch(path, batch, step=step, seed=config.seed)
    return path


def write_batch(path: Path, batch: TrainingBatch, *, step: int, seed: int) -> None:
    """Writes a batch as `.npz`: leaves by their names in `Batch` ("camera.focal"), "step", "seed".

    `np.load(path)` reads it; with the checkpoint before, the step can be taken again.

    Args:
      batch: arrays that this process can read whole.
    """
    leaves = {
        jax.tree_util.keystr(names, simple=True, separator="."): np.asarray(leaf)
        for names, leaf in jax.tree.leaves_with_path(batch)
    }
    content = io.BytesIO()
    np.savez(content, step=step, seed=seed, **leaves)
    write_atomically(path, content.getvalue())
