"""The checkpoints of a run (orbax): written while training goes on, checked when they are read.

Batches derive from the seed and the step number, so state and step are all that a run needs to go
on as if it had never stopped.

    checkpoints/STEP/state          the train state after STEP steps
    checkpoints/STEP/check          its fingerprint (`fingerprint.py`), the source's state, the time
    checkpoints/damaged-STEP        what could not be read any more, moved out of the way
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from i2uv_jax.training.best_checkpoint import EvaluatedSteps
from i2uv_jax.training.fingerprint import tree_fingerprint
from i2uv_jax.training.processes import is_first_process, is_so_everywhere, wait_for_all
from i2uv_jax.training.run_folder import CHECKPOINT_FOLDER
from i2uv_jax.training.state import TrainState

_STATE, _CHECK = "state", "check"
_UNFINISHED = "*.orbax-checkpoint-tmp"
_DAMAGED = "damaged-"

_MAX_REASON = 200
"""Characters of the storage library's own words that an error message repeats."""


class Checkpoints:
    """The checkpoints of one run: context manager, whose end waits for saves under way.

    Raises:
      OSError: from `save` and at the end: a checkpoint could not be written, say for want of
        space. Those before it are whole.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, evaluated: EvaluatedSteps | None = None
    ) -> None:
        """Opens a run's checkpoints, or begins them.

        Args:
          keep: how many of the newest stay.
          evaluated: beside them the best of these stays.
        """
        # orbax logs a screenful per save, and a traceback for what it raises as well.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        policies = ocp.checkpoint_managers.preservation_policy
        kept = [policies.LatestN(keep), *([] if evaluated is None else [evaluated])]
        self._folder = (folder / CHECKPOINT_FOLDER).absolute()
        if is_first_process():
            # What a killed process left behind would fill the disk kill by kill.
            for unfinished in self._folder.glob(_UNFINISHED):
                shutil.rmtree(unfinished, ignore_errors=True)
        self.restored_source_state: dict[str, Any] | None = None
        """What was saved of the source of data with the state that was restored, if anything."""
        self.restored_seconds: float | None = None
        """How long the run had taken until the state that was restored, if that was saved."""
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(kept)
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._writing("the last checkpoint", self._manager.close)
            return
        try:
            self._manager.close()
        except Exception as second:  # whatever it is, it must not hide the first error
            error.add_note(f"closing the checkpoints failed, too: {_reason(second)}")

    @property
    def steps(self) -> list[int]:
        """Steps taken at each of the checkpoints there are."""
        return sorted(self._manager.all_steps())

    @property
    def latest_step(self) -> int | None:
        """Steps taken at the newest checkpoint; None if there is none."""
        return self._manager.latest_step()

    def save(
        self,
        state: TrainState,
        source_state: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Starts to save a state; a step that is already saved is left alone.

        Args:
          source_state: of the source of data before the step to take next (`BatchSource.state`).
          seconds: that the run has taken so far, all its pieces; None if that is not known.
        """
        step = int(state.step)
        if step == self.latest_step:
            return
        self._check_space(step, state)
        items = {
            _STATE: ocp.args.StandardSave(state),
            _CHECK: ocp.args.JsonSave(
                {
                    "fingerprint": tree_fingerprint(state),
                    "source": source_state,
                    "seconds": seconds,
                }
            ),
        }
        self._writing(
            f"the checkpoint of step {step} or the one before",
            lambda: self._manager.save(step, args=ocp.args.Composite(**items)),
        )

    def restore(
        self, abstract_state: Any, shardings: Any, say: Callable[[str], None]
    ) -> TrainState:
        """The newest state that is whole.

        Newer ones, which are not, are reported and moved out of the way, so that the run can save
        its own in their place.

        Args:
          abstract_state: the state's shapes, from `jax.eval_shape`.
          shardings: how it is to lie on the devices: one sharding, or one per leaf.
          say: takes one line for each checkpoint that could not be used.

        Raises:
          ValueError: none is whole and of this kind of state; all are left where they are.
        """
        failures: dict[int, str] = {}
        for step in reversed(self.steps):
            try:
                state = self.restore_step(step, abstract_state, shardings)
            except ValueError as error:
                failures[step] = str(error)
                continue
            for failure in failures.values():
                say(f"{failure}; going on from the checkpoint of step {step}")
            self._set_aside(failures)
            return state
        raise ValueError(
            f"{next(iter(failures.values()))}; none of the {len(failures)} checkpoints there is "
            f"whole and of this model"
        )

    def restore_step(self, step: int, abstract_state: Any, shardings: Any) -> TrainState:
        """The state of one checkpoint; arguments as for `restore`.

        Raises:
          ValueError: it is not whole, or not of this kind of state; in all processes if in one.
        """
        folder = self._folder / str(step)
        failure: Exception | None = None
        try:
            state, check = _read(folder, abstract_state, shardings)
        # The storage library raises whatever its parts raise, bare `Exception` included.
        except Exception as error:
            failure = error
        if not is_so_everywhere(failure is None):
            reason = "another process cannot read it" if failure is None else _reason(failure)
            raise ValueError(f"{folder}: not whole ({reason})") from failure
        # Runs from before there were fingerprints have none.
        is_checked = is_so_everywhere("fingerprint" in check)
        is_same = not is_checked or tree_fingerprint(state) == check["fingerprint"]
        if not is_so_everywhere(is_same):
            raise ValueError(f"{folder}: not whole (its values are not those that were saved)")
        self.restored_source_state = check.get("source")
        self.restored_seconds = check.get("seconds")
        return state

    def _set_aside(self, steps: Any) -> None:
        if not steps:
            return
        wait_for_all("damaged checkpoints were read")
        if is_first_process():
            for step in steps:
                aside = self._folder / f"{_DAMAGED}{step}"
                shutil.rmtree(aside, ignore_errors=True)
                (self._folder / str(step)).rename(aside)
        wait_for_all("damaged checkpoints were moved")
        self._manager.reload()

    def _check_space(self, step: int, state: TrainState) -> None:
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"{os.strerror(errno.ENOSPC)}: the checkpoint of step {step} takes "
                f"{needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; {self._last_good()}",
                str(self._folder),
            )

    def _writing(self, what: str, write: Callable[[], Any]) -> None:
        try:
            write()
        # As in `restore_step`; what went wrong in the background comes out here, too.
        except Exception as error:
            raise OSError(
                f"{self._folder}: {what} could not be written ({_reason(error)}); "
                f"{self._last_good()}"
            ) from error

    def _last_good(self) -> str:
        # Not the manager's list: that has what is still being written, too.
        steps = [int(entry.name) for entry in self._folder.iterdir() if entry.name.isdigit()]
        return f"the last good one is that of step {max(steps)}" if steps else "there is none yet"


def _read(folder: Path, abstract_state: Any, shardings: Any) -> tuple[TrainState, dict[str, Any]]:
    """A checkpoint's state, of which this process reads what its devices hold, and what was saved
    to check it by, nothing if nothing was.

    No process waits for another here, as the manager would have them do: one that fails could not
    tell the others.
    """
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )

    def restored(name: str, handler: type[ocp.CheckpointHandler], args: Any) -> Any:
        with ocp.Checkpointer(
            handler(multiprocessing_options=alone), multiprocessing_options=alone
        ) as checkpointer:
            return checkpointer.restore(folder / name, args=args)

    target = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        abstract_state,
        jax.tree.broadcast(shardings, abstract_state),
    )
    state = restored(_STATE, ocp.StandardCheckpointHandler, ocp.args.StandardRestore(target))
    check = {}
    if (folder / _CHECK).exists():
        check = restored(_CHECK, ocp.JsonCheckpointHandler, ocp.args.JsonRestore())
        if not isinstance(check, dict) or "fingerprint" not in check:
            raise ValueError(f"{_CHECK}: names no fingerprint")
    return state, check


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= _MAX_REASON else f"{lines[0][:_MAX_REASON]}..."
