"""A run's folder: its config, and where everything else goes.

RUN/config.json         the full config, every value written out
RUN/checkpoints/STEP    train state after STEP steps; see `checkpoint.py`
RUN/tensorboard         scalars and pictures
RUN/evaluation.json     scores at the last evaluation
RUN/evaluated.json      scores of each checkpoint that was evaluated, the best of which is kept
RUN/bad_step_STEP.npz   the batch of a step whose loss was not finite or exploded
RUN/model.safetensors   the model, once the run has reached its end
RUN/best.safetensors    the model at the best evaluation, if that was an earlier one
"""

import json
from pathlib import Path

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import AnyExperimentConfig, DetectorExperimentConfig, ExperimentConfig
from i2uv_jax.config_io import changed_fields, from_json, to_json
from i2uv_jax.training.processes import is_first_process, wait_for_all

CONFIG_FILE = "config.json"
CHECKPOINT_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tensorboard"
EVALUATION_FILE = "evaluation.json"
EVALUATED_FILE = "evaluated.json"
MODEL_FILE = "model.safetensors"
BEST_MODEL_FILE = "best.safetensors"

_FIXED_FIELDS = ("model.", "optim.algorithm", "optim.clip_norm", "train.ema_decay", "train.seed")
"""What a checkpoint's shape or meaning depends on: a resumed run may not change these."""


def open_run_folder(folder: Path, config: AnyExperimentConfig, *, resume: bool) -> None:
    """Makes the run's folder, unless it holds what this run may not go on with.

    Of several processes each looks, and the first one makes it.

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
    wait_for_all("the run's folder was looked at")
    if is_first_process():
        folder.mkdir(parents=True, exist_ok=True)


def write_config(folder: Path, config: AnyExperimentConfig) -> None:
    """Notes the config of a run that has begun, or of one that does go on."""
    if is_first_process():
        write_text(folder / CONFIG_FILE, to_json(config))


def has_checkpoints(folder: Path) -> bool:
    """Whether a run's folder holds at least one finished checkpoint."""
    checkpoints = folder / CHECKPOINT_FOLDER
    return checkpoints.is_dir() and any(entry.name.isdigit() for entry in checkpoints.iterdir())


def load_run_config(folder: Path) -> AnyExperimentConfig:
    """The config that a run was started with; ValueError naming the file if there is none."""
    path = folder / CONFIG_FILE
    try:
        text = path.read_text()
        # A detector's run is the one with scenes.
        is_detector = isinstance(values := json.loads(text), dict) and "scene" in values
        return from_json(DetectorExperimentConfig if is_detector else ExperimentConfig, text)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file, so {folder} is no run's folder") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none: a reader never sees half of it."""
    write_atomically(path, text.encode())
