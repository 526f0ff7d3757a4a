"""From a training run to the one file that inference loads."""

from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from i2uv_jax.config import AnyExperimentConfig, DetectorExperimentConfig
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_model_file, save_model
from i2uv_jax.training.processes import is_first_process
from i2uv_jax.training.sharding import on_every_process
from i2uv_jax.training.state import TrainState

_OF_HISTORY = ("name", "steps", "batch_size")


def export_model(
    path: Path,
    config: AnyExperimentConfig,
    atlas: Atlas | None,
    state: TrainState,
    mesh: Mesh,
    scores: dict[str, float],
) -> None:
    """Writes a state's best variables (the average, if kept) as a model file.

    All processes have to call together; the first one writes. The file's card holds the run's name,
    what it took, the evaluation's scores, the runs before it whose weights it went on from, oldest
    first, and the fingerprint of the atlas that UV maps are laid out on, if there are any.
    """
    variables = on_every_process(state.best_variables, mesh)
    if not is_first_process():
        return
    card = {
        "name": config.name,
        "steps": int(state.step),
        "batch_size": config.train.batch_size,
        **_evaluation(config, scores),
    }
    if config.train.init_from is not None:
        card["history"] = _history(config.train.init_from, type(config.model))
    if atlas is not None:
        card["atlas"] = atlas.fingerprint
    save_model(path, config.model, variables, card)


def _history(init_from: str, kind: type) -> list[dict[str, Any]]:
    """The run that a model came out of and those before it; its name alone if it is gone."""
    try:
        _, _, card = load_model_file(find_model(init_from), kind)
    except ValueError:
        return [{"name": Path(init_from).stem}]
    return [*card.get("history", []), {key: card[key] for key in _OF_HISTORY if key in card}]


def _evaluation(
    config: AnyExperimentConfig, scores: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Scores of hands by their unit, which their names end in; a detector's have none."""
    if isinstance(config, DetectorExperimentConfig):
        return {"evaluation": scores}
    units = {name.rsplit("_", 1)[1] for name in scores}
    return {
        f"evaluation_{unit}": {n: value for n, value in scores.items() if n.endswith(f"_{unit}")}
        for unit in sorted(units)
    }
