"""Which of a run's checkpoints scored best, and the rule that keeps it.

A checkpoint counts if its state was evaluated: those of steps that `train.save_every` and
`train.evaluate_every` have in common, and the last one.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from i2uv_jax.training.processes import is_first_process
from i2uv_jax.training.run_folder import write_text
from i2uv_jax.training.task import Scores


class EvaluatedSteps:
    """Scores by step; the file outlives the process. A preservation policy for orbax."""

    def __init__(self, path: Path, error: Callable[[Scores], float]) -> None:
        """Reads what earlier pieces of the run noted.

        Args:
          path: of JSON; all processes read it, the first one writes.
          error: see `Task`.

        Raises:
          ValueError: the file is no such record.
        """
        self._path, self._error = path, error
        self.scores: dict[int, Scores] = {}
        if path.exists():
            try:
                found = json.loads(path.read_text())
                self.scores = {int(step): dict(scores) for step, scores in found.items()}
            except (AttributeError, TypeError, ValueError) as error_:
                raise ValueError(f"{path}: no scores by step ({error_})") from error_

    def note(self, step: int, scores: Scores) -> None:
        """Takes a state's scores.

        Raises:
          OSError: they cannot be written.
        """
        self.scores[step] = scores
        if is_first_process():
            write_text(self._path, json.dumps(self.scores, indent=1) + "\n")

    def best(self, steps: Sequence[int]) -> int | None:
        """The one of these steps with the smallest error; None if none was evaluated to a finite
        one."""
        errors = {step: self._error(self.scores[step]) for step in steps if step in self.scores}
        finite = [step for step, error in errors.items() if math.isfinite(error)]
        return min(finite, key=errors.__getitem__, default=None)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """orbax's question: which of these checkpoints to keep."""
        del context
        best = self.best([checkpoint.step for checkpoint in checkpoints])
        return [checkpoint.step == best for checkpoint in checkpoints]
