"""From a training run to the one file that inference loads."""

from functools import partial
from pathlib import Path

import jax

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.models.weights import save_model
from i2uv_jax.training.checkpoint import Checkpoints, has_checkpoints, load_run_config
from i2uv_jax.training.sharding import make_mesh, replicated
from i2uv_jax.training.state import TrainState, init_state


def export_state(
    state: TrainState, config: ExperimentConfig, path: Path, errors_mm: dict[str, float]
) -> None:
    """Writes a state's best variables (the average, if kept) as a model file.

    The file's metadata holds the run's name, the steps taken and the evaluation's errors.
    """
    metadata = {
        "name": config.name,
        "steps": int(state.step),
        "batch_size": config.train.batch_size,
        "evaluation_mm": errors_mm,
    }
    save_model(path, config.model, state.best_variables, metadata)


def export_run(folder: Path, path: Path) -> None:
    """Writes the newest checkpoint of a run's folder as a model file.

    Raises:
      ValueError: the folder is no run's, or it holds no checkpoint yet.
    """
    config = load_run_config(folder)
    if not has_checkpoints(folder):
        raise ValueError(f"{folder} holds no checkpoint yet")
    abstract_state = jax.eval_shape(partial(init_state, config=config), jax.random.key(0))
    with Checkpoints(folder, keep=config.train.keep_checkpoints) as checkpoints:
        state = checkpoints.restore(abstract_state, replicated(make_mesh(1)))
    export_state(state, config, path, errors_mm={})
