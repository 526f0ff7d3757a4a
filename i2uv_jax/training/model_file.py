"""From a training run to the one file that inference loads."""

from pathlib import Path

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.weights import save_model
from i2uv_jax.training.state import TrainState


def export_state(
    state: TrainState,
    config: ExperimentConfig,
    atlas: Atlas,
    path: Path,
    errors_mm: dict[str, float],
) -> None:
    """Writes a state's best variables (the average, if kept) as a model file.

    The file's card holds the run's name, what it took, the evaluation's errors and the
    fingerprint of the atlas that its UV maps are laid out on.
    """
    card = {
        "name": config.name,
        "steps": int(state.step),
        "batch_size": config.train.batch_size,
        "evaluation_mm": errors_mm,
        "atlas": atlas.fingerprint,
    }
    save_model(path, config.model, state.best_variables, card)
