"""A run's folder: its config, its checkpoints (orbax) and where everything else goes.

    RUN/config.json         the full config, every value written out
    RUN/checkpoints/STEP    train state after STEP steps
    RUN/tensorboard         scalars and pictures
    RUN/evaluation.json     errors at the last evaluation
    RUN/model.safetensors   the model, once the run has reached its end

Batches derive from the seed and the step number, so state and step are all that a run needs to go
on as if it had never stopped.
"""

import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import changed_fields, from_json, to_json
from i2uv_jax.training.state import TrainState

CONFIG_FILE = "config.json"
CHECKPOINT_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tensorboard"
EVALUATION_FILE = "evaluation.json"
MODEL_FILE = "model.safetensors"

_FIXED_FIELDS = ("model.", "optim.algorithm", "optim.clip_norm", "train.ema_decay", "train.seed")
"""What a checkpoint's shape or meaning depends on: a resumed run may not change these."""

_MAX_REASON = 200
"""Characters of the storage library's own words that an error message repeats."""


def open_run_folder(folder: Path, config: ExperimentConfig, *, resume: bool) -> None:
    """Makes the run's folder and writes the config into it.

    Raises:
      ValueError: the folder already holds checkpoints and `resume` is not asked for, or it holds
        those of a config that this one cannot continue.
    """
    if has_checkpoints(folder):
        if not resume:
            raise ValueError(
                f"{folder} already holds checkpoints: continue them with --resume, "
                f"or choose another --out"
            )
        changes = changed_fields(load_run_config(folder), config)
        for name, (before, after) in changes.items():
            if name.startswith(_FIXED_FIELDS):
                raise ValueError(
                    f"{folder} cannot be resumed with {name}={after}: it was trained with {before}"
                )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG_FILE, to_json(config))


def has_checkpoints(folder: Path) -> bool:
    """Whether a run's folder holds at least one finished checkpoint."""
    checkpoints = folder / CHECKPOINT_FOLDER
    return checkpoints.is_dir() and any(entry.name.isdigit() for entry in checkpoints.iterdir())


def load_run_config(folder: Path) -> ExperimentConfig:
    """The config that a run was started with; ValueError naming the file if there is none."""
    path = folder / CONFIG_FILE
    try:
        return from_json(ExperimentConfig, path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file, so {folder} is no run's folder") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none: a reader never sees half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


class Checkpoints:
    """The checkpoints of one run: context manager, whose end waits for saves under way."""

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        # orbax logs a screenful per save at its INFO and WARNING levels.
        logging.getLogger("absl").setLevel(logging.ERROR)
        policies = ocp.checkpoint_managers.preservation_policy
        self._manager = ocp.CheckpointManager(
            (folder / CHECKPOINT_FOLDER).absolute(),
            options=ocp.CheckpointManagerOptions(preservation_policy=policies.LatestN(keep)),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """Steps taken at the newest checkpoint; None if there is none."""
        return self._manager.latest_step()

    def save(self, state: TrainState) -> None:
        """Starts to save a state; a step that is already saved is left alone."""
        step = int(state.step)
        if step != self.latest_step:
            self._manager.save(step, args=ocp.args.Composite(state=ocp.args.StandardSave(state)))

    def restore(self, abstract_state: Any, sharding: jax.sharding.Sharding) -> TrainState:
        """The newest state, laid out as `sharding` says.

        Args:
          abstract_state: the state's shapes, from `jax.eval_shape`.

        Raises:
          ValueError: the checkpoint is incomplete, damaged or of another kind of state.
        """
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            abstract_state,
        )
        try:
            restored = self._manager.restore(
                self.latest_step,
                args=ocp.args.Composite(state=ocp.args.StandardRestore(target)),
            )
        except (KeyError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"{self._manager.directory / str(self.latest_step)}: not a whole checkpoint of "
                f"this model ({reason[:_MAX_REASON]}); without this folder the run goes on from "
                f"the checkpoint before"
            ) from error
        return restored.state
