"""From a training run to the one file that inference loads."""

import os
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from i2uv_jax.config import AnyExperimentConfig
from i2uv_jax.config_io import changed_fields, field_names, to_dict
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_model_file, save_model
from i2uv_jax.training.processes import is_first_process
from i2uv_jax.training.sharding import on_every_process
from i2uv_jax.training.state import TrainState

_OF_HISTORY = ("name", "steps", "batch_size", "training_time")

_ALWAYS = (
    "loss.stage_terms",
    "loss.stage_weights",
    "loss.final_terms",
    "optim.algorithm",
    "optim.peak_learning_rate",
    "train.num_steps",
    "train.batch_size",
    "train.seed",
)
"""Values that a recipe states even where they are the defaults."""
_NO_RECIPE = (
    "train.init_from",
    "train.max_minutes",
    "train.log_every",
    "train.picture_every",
    "train.evaluate_every",
    "train.save_every",
    "train.keep_checkpoints",
)
"""Values that do not change what is learnt, or that the history tells."""


_UNITS = ("_mm", "_degrees")


def export_model(
    path: Path,
    config: AnyExperimentConfig,
    atlas: Atlas | None,
    state: TrainState,
    mesh: Mesh,
    scores: dict[str, float],
    seconds: float | None,
) -> None:
    """Writes a state's best variables (the average, if kept) as a model file.

    All processes have to call together; the first one writes. The file's card holds the run's name,
    what it took, its recipe, the evaluation's scores, the runs before it whose weights it went on
    from, oldest first, and the fingerprint of the atlas that UV maps are laid out on, if there are
    any.

    Args:
      seconds: that the run took, all its pieces; None if that is not known.
    """
    variables = on_every_process(state.best_variables, mesh)
    if not is_first_process():
        return
    card = {
        "name": config.name,
        "steps": int(state.step),
        "batch_size": config.train.batch_size,
        "recipe": recipe(config),
        **_evaluation(scores),
    }
    if seconds is not None:
        card["training_time"] = _training_time(seconds, mesh)
    if config.train.init_from is not None:
        card["history"] = _history(config.train.init_from, type(config.model))
    if atlas is not None:
        card["atlas"] = atlas.fingerprint
    save_model(path, config.model, variables, card)


def recipe(config: AnyExperimentConfig) -> dict[str, Any]:
    """What a run was, but for its model: by dotted name the values that differ from the defaults,
    and those that everybody asks for.

    Of files and folders only the last name is kept: model files are handed on.
    """
    changed = changed_fields(type(config)(name=config.name), config)
    values = to_dict(config)
    kept = {}
    for name in field_names(config):
        told = name in changed and not name.startswith("model.") and name not in _NO_RECIPE
        if told or name in _ALWAYS:
            value = values
            for part in name.split("."):
                value = value[part]
            kept[name] = _without_folders(value)
    return kept


def _without_folders(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return os.path.basename(value.rstrip(os.sep)) if isinstance(value, str) else value


def _training_time(seconds: float, mesh: Mesh) -> dict[str, Any]:
    device = mesh.devices.flat[0]
    # A CPU's devices may be simulated ones; its cores are what work.
    on_cpu = device.platform == "cpu"
    amount = {"cores": os.cpu_count()} if on_cpu else {"devices": mesh.size}
    return {"seconds": round(seconds, 1), "device": device.device_kind, **amount}


def _history(init_from: str, kind: type) -> list[dict[str, Any]]:
    """The run that a model came out of and those before it; its name alone if it is gone."""
    try:
        _, _, card = load_model_file(find_model(init_from), kind)
    except ValueError:
        return [{"name": Path(init_from).stem}]
    return [*card.get("history", []), {key: card[key] for key in _OF_HISTORY if key in card}]


def _evaluation(scores: dict[str, float]) -> dict[str, dict[str, float]]:
    """Scores by their unit, in which their names end: "evaluation_mm", "evaluation_degrees", and
    "evaluation" for shares and likelihoods, which have none."""
    by_unit: dict[str, dict[str, float]] = {}
    for name, value in scores.items():
        unit = next((unit for unit in _UNITS if name.endswith(unit)), "")
        by_unit.setdefault(f"evaluation{unit}", {})[name] = value
    return by_unit
