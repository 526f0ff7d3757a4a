"""From a training run to the one file that inference loads."""

from pathlib import Path
from typing import Any

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.weights import save_model


def export_model(
    path: Path,
    config: ExperimentConfig,
    atlas: Atlas,
    variables: dict[str, Any],
    *,
    num_steps: int,
    errors_mm: dict[str, float],
) -> None:
    """Writes a run's variables as a model file.

    The file's card holds the run's name, what it took, the evaluation's errors and the
    fingerprint of the atlas that its UV maps are laid out on.
    """
    card = {
        "name": config.name,
        "steps": num_steps,
        "batch_size": config.train.batch_size,
        "evaluation_mm": errors_mm,
        "atlas": atlas.fingerprint,
    }
    save_model(path, config.model, variables, card)
