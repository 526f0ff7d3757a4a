"""From a training run to the one file that inference loads."""

from pathlib import Path

from jax.sharding import Mesh

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.weights import save_model
from i2uv_jax.training.processes import is_first_process
from i2uv_jax.training.sharding import on_every_process
from i2uv_jax.training.state import TrainState


def export_model(
    path: Path,
    config: ExperimentConfig,
    atlas: Atlas,
    state: TrainState,
    mesh: Mesh,
    errors: dict[str, float],
) -> None:
    """Writes a state's best variables (the average, if kept) as a model file.

    All processes have to call together; the first one writes. The file's card holds the run's name,
    what it took, the evaluation's errors and the fingerprint of the atlas that its UV maps are laid
    out on.
    """
    variables = on_every_process(state.best_variables, mesh)
    if not is_first_process():
        return
    card = {
        "name": config.name,
        "steps": int(state.step),
        "batch_size": config.train.batch_size,
        **_by_unit(errors),
        "atlas": atlas.fingerprint,
    }
    save_model(path, config.model, variables, card)


def _by_unit(errors: dict[str, float]) -> dict[str, dict[str, float]]:
    units = {name.rsplit("_", 1)[1] for name in errors}
    return {
        f"evaluation_{unit}": {n: e for n, e in errors.items() if n.endswith(f"_{unit}")}
        for unit in sorted(units)
    }
