"""A profile of a few steps, for TensorBoard's or Perfetto's eyes."""

from pathlib import Path
from typing import Any

import jax

_NUM_WARM_UP = 3
"""Steps before the profile begins: they compile, and fill what is to be filled."""
_NUM_PROFILED = 5


class StepProfiler:
    """Profiles steps 3 to 7 of a run, counted from its start or resumption."""

    def __init__(self, folder: Path | None, first_step: int) -> None:
        """Profiles into `folder`; without one it does nothing."""
        self._folder = folder
        self._start = first_step + _NUM_WARM_UP
        self._is_running = False
        self._is_written = False

    @property
    def is_missing(self) -> bool:
        """Whether a profile was asked for and is not written."""
        return self._folder is not None and not self._is_written

    def before_step(self, step: int, state: Any) -> None:
        """To be called before step `step` is dispatched, with the state that it starts from."""
        if self._folder is not None and step == self._start:
            jax.block_until_ready(state)
            jax.profiler.start_trace(str(self._folder))
            self._is_running = True

    def after_step(self, step: int, state: Any, *, is_last: bool) -> bool:
        """To be called after step `step` was dispatched; True once when the profile is written."""
        is_over = is_last or step >= self._start + _NUM_PROFILED - 1
        if not (self._is_running and is_over):
            return False
        jax.block_until_ready(state)
        jax.profiler.stop_trace()
        self._is_running, self._is_written = False, True
        return True
