"""A model's card as Markdown: what it is, what made it, how good it is and where it fails.

Everything in it comes from the model's file and from what `i2uv eval` wrote; nothing is measured
here. What neither of them says is "unknown" in the card.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2uv_jax.config import HandNetConfig
from i2uv_jax.evaluate.benchmark_page import F_ROWS, ROWS
from i2uv_jax.evaluate.generated import GENERATED
from i2uv_jax.evaluate.markdown import markdown_table
from i2uv_jax.evaluate.photos import NEAR_SHARE
from i2uv_jax.measuring.device_peaks import CPU_CORE_WATTS, rated_watts
from i2uv_jax.models.complexity import (
    PartComplexity,
    flops_per_picture,
    total_complexity,
)

METRICS = "metrics.json"

_DATA_KEYS = ("render.", "data.", "scene.", "surface_pairs.")

_GROUP_COLUMNS = {
    "keypoint_aligned_mm": ("keypoints mm", 2),
    "vertex_aligned_mm": ("vertices mm", 2),
    "f_aligned_5": ("F@5", 3),
    "f_aligned_15": ("F@15", 3),
}

_PHOTO_ROWS = {
    "error_over_box": ("mean error over box", 3),
    NEAR_SHARE: ("keypoints within 10 % of box", 3),
    "auc_of_pck": ("area under PCK curve to 30 % of box", 3),
    "aligned_keypoint_mm": ("aligned error of found hands, mm", 2),
    "aligned_keypoint_mm_over_all": ("aligned error of all hands, mm", 2),
    "auc_of_aligned_pck": ("area under aligned PCK curve to 50 mm", 3),
}

_DETECTOR_ROWS = {
    "average_precision": ("average precision", 3),
    "recall": ("recall", 3),
    "side_accuracy": ("right side named", 3),
}

_SURFACE_COLUMNS = {
    "to_truth_mean_mm": ("to the truth, mm", 2),
    "from_truth_mean_mm": ("from the truth, mm", 2),
    "complete": ("truth within 2 mm", 3),
}


@dataclass(frozen=True)
class DescribedModel:
    """A model file, read."""

    name: str
    config: HandNetConfig
    card: Mapping[str, Any]
    """What its header says; see `training.model_file`."""
    parts: tuple[PartComplexity, ...]
    num_bytes: int
    fingerprint: str
    licence: str | None
    limits: str | None
    """Markdown."""


@dataclass(frozen=True)
class FinishedEvaluation:
    """What one `i2uv eval` wrote."""

    folder: Path
    metrics: Mapping[str, Any]
    worst: str | None = None
    """Link to the picture of its worst hands, from where the card is."""

    @property
    def is_of_generated_pictures(self) -> bool:
        return self.metrics.get("benchmark") == GENERATED


def read_evaluation(folder: Path, fingerprint: str) -> FinishedEvaluation:
    """Reads metrics.json of an evaluation's folder.

    Args:
      fingerprint: of the model's file.

    Raises:
      ValueError: one line that names the file: it is missing, broken, not one of the evaluations'
        or of another model file.
    """
    path = folder / METRICS
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(metrics, dict) or not _kind(metrics):
        raise ValueError(f"{path}: not what an `i2uv eval` writes")
    own = metrics.get("model_file")
    if own not in (None, fingerprint):
        raise ValueError(
            f"{path}: is of another model file ({own}, not {fingerprint}): evaluate this one"
        )
    return FinishedEvaluation(folder, metrics)


def model_card(model: DescribedModel, evaluations: Sequence[FinishedEvaluation]) -> str:
    """The card's text.

    Raises:
      ValueError: an evaluation lacks what it should hold.
    """
    shown = [(one.metrics, _evaluation(one)) for one in evaluations]
    worst = [
        f"![{_title(one.metrics)}: the largest errors]({one.worst})"
        for one in evaluations
        if one.worst is not None
    ]
    sections = {
        "What it is": _identity(model),
        "Data": _data(model.card),
        "Recipe": _recipe(model.card),
        "Energy": _energy(model.card),
        **{_title(metrics): text for metrics, text in shown},
        "Limits": model.limits or "Nobody has written them down.",
        "Failures": "\n\n".join(worst),
    }
    blocks = [f"# {model.name}", *(f"## {t}\n\n{s.strip()}" for t, s in sections.items() if s)]
    return "\n\n".join(blocks) + "\n"


def pictures_seen(card: Mapping[str, Any]) -> tuple[int, bool]:
    """Steps times batch over this run and those before it, and whether all of them tell theirs."""
    runs = _runs(card)
    known = [run["steps"] * run["batch_size"] for run in runs if {"steps", "batch_size"} <= {*run}]
    return sum(known), len(known) == len(runs)


def energy_kwh(card: Mapping[str, Any]) -> tuple[float, bool]:
    """Estimate in kilowatt-hours over this run and those before it, and whether all of them tell
    their time on a device of known power.

    Hours times devices times rated watts; on CPUs hours times cores times `CPU_CORE_WATTS`.
    """
    known = [_run_kwh(run) for run in _runs(card)]
    return sum(one for one in known if one is not None), None not in known


def _runs(card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Oldest first, this one last; of a joined model those of both parts."""
    parts = [card[part] for part in ("affine_net", "sr_net") if part in card]
    if parts:
        return [run for part in parts for run in _runs(part)]
    return [*card.get("history", []), card]


def _run_kwh(run: Mapping[str, Any]) -> float | None:
    time = run.get("training_time")
    if time is None:
        return None
    if "cores" in time:
        watts = time["cores"] * CPU_CORE_WATTS
    elif (rated := rated_watts(time["device"])) is not None:
        watts = time["devices"] * rated
    else:
        return None
    return time["seconds"] / 3600 * watts / 1000


def _identity(model: DescribedModel) -> str:
    config, looks = model.config, model.config.looks
    if config.affine is None:
        network = "SRNet alone"
        takes = f"a UV position map of {config.input_size} x {config.input_size} texels"
    else:
        network = f"{config.affine.encoder}, width {config.affine.width:g}, AffineNet"
        network += "" if config.sr is None else " and SRNet"
        if looks > 1:
            network += f", {looks} looks in {config.image_size} x {config.image_size} pixels"
        takes = (
            f"a square RGB crop about one right hand, {config.crop_size} x {config.crop_size} "
            "pixels (others are resized, left hands mirrored)"
        )
        if config.takes_keypoints:
            takes += "; what is known of its keypoints"
    gives = f"a UV position map of {config.uv_map_size} x {config.uv_map_size} texels"
    if config.affine is not None:
        gives += ", from it a mesh and 21 keypoints in millimetres, weak perspective"
    rows = [
        ("network", network),
        ("parameters", f"{total_complexity(model.parts).parameters:,}"),
        ("GFLOP a picture", f"{flops_per_picture(model.parts, looks) / 1e9:.3f}"),
        ("file", f"{model.num_bytes / 1e6:.2f} MB, {model.fingerprint}"),
        ("takes", takes),
        ("gives", gives),
        ("licence", model.licence or "unknown"),
    ]
    return markdown_table(("", ""), rows)


def _data(card: Mapping[str, Any]) -> str:
    seen, is_all = pictures_seen(card)
    recipe = card.get("recipe", {})
    lead = f"{'' if is_all else 'At least '}{seen:,} pictures seen (steps x batch, all runs)."
    if not recipe:
        return f"{lead} Settings of the generator: unknown."
    changed = {name: value for name, value in recipe.items() if name.startswith(_DATA_KEYS)}
    sets = "data.sets" in changed
    kind = "Stored sets." if sets else "Generated ones alone: the renderer's, seed "
    kind += "" if sets else f"{recipe.get('train.seed', 'unknown')}."
    note = " Values that differ from the defaults in the last run:" if changed else " All defaults."
    return f"{lead} {kind}{note}\n\n{_values(changed)}"


def _recipe(card: Mapping[str, Any]) -> str:
    values = {n: v for n, v in card.get("recipe", {}).items() if not n.startswith(_DATA_KEYS)}
    runs = markdown_table(
        ("run", "steps", "batch", "time"),
        [
            (str(run.get("name", "unknown")), _count(run, "steps"), _count(run, "batch_size"),
             _time(run))
            for run in _runs(card)
        ],
    )  # fmt: skip
    own = f"{_values(values)}\n\n" if values else "Settings: unknown.\n\n"
    return f"{own}Runs, each from the weights of the one before:\n\n{runs}"


def _energy(card: Mapping[str, Any]) -> str:
    kwh, is_all = energy_kwh(card)
    if not kwh:
        return "Unknown: the file tells no hours on a device of known power."
    least = "" if is_all else "At least, as not every run tells its time, "
    return (
        f"{least}{kwh:.3g} kWh: hours x devices x rated watts of the maker's sheet, on CPUs hours "
        f"x cores x {CPU_CORE_WATTS:g} W (assumed). Without the rest of the machine, cooling, and "
        "runs that were thrown away."
    )


def _kind(metrics: Mapping[str, Any]) -> str | None:
    marks = {"benchmark": "hands", "error_over_box": "photos", "average_precision": "scenes"}
    return next((kind for mark, kind in marks.items() if mark in metrics), None)


def _title(metrics: Mapping[str, Any]) -> str:
    kind = _kind(metrics)
    if kind == "photos":
        return "Annotated photos"
    if kind == "scenes":
        return f"Finding hands in generated scenes: {metrics.get('detector', 'unknown')}"
    drawn = metrics.get("pictures_of")
    name = "generated pictures" if metrics["benchmark"] == GENERATED else metrics["benchmark"]
    title = f"Hands of {name}" + (f": {drawn}" if drawn else "")
    told = metrics.get("detector")
    return f"{title}; keypoints told by {told}" if told else title


def _evaluation(one: FinishedEvaluation) -> str:
    show = {"hands": _hands, "photos": _photos, "scenes": _scenes}[_kind(one.metrics)]
    try:
        return show(one.metrics)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{one.folder / METRICS}: not as it was written ({reason})") from error


def _hands(metrics: Mapping[str, Any]) -> str:
    scores = metrics["scores"]["all"]
    errors = [
        (title, _number(scores[f"{kind}_mm"], 2), _number(scores[f"{kind}_auc"], 3))
        for kind, title in ROWS.items()
        if scores.get(f"{kind}_mm") is not None
    ]
    shares = [
        (title, _number(scores[f"{kind}_5"], 3), _number(scores[f"{kind}_15"], 3))
        for kind, title in F_ROWS.items()
        if scores.get(f"{kind}_5") is not None
    ]
    blocks = [
        f"{metrics['pictures']} pictures, {metrics['found']} hands found; a missing hand counts as "
        "one of zeros alone.",
        markdown_table(("", "mm", "AUC to 50 mm"), errors),
        markdown_table(("", "5 mm", "15 mm"), shares),
    ]
    for title, groups in metrics["groups"].items():
        rows = [(label, str(own["hands"]), *_cells(own, _GROUP_COLUMNS))
                for label, own in groups.items()]  # fmt: skip
        header = (f"by {title}, aligned", "hands", *_titles(_GROUP_COLUMNS))
        blocks.append(markdown_table(header, rows))
    surfaces = [(name, *_cells(own, _SURFACE_COLUMNS))
                for name, own in metrics.get("surfaces", {}).items()]  # fmt: skip
    blocks.append(markdown_table(("surface", *_titles(_SURFACE_COLUMNS)), surfaces))
    return "\n\n".join(block for block in blocks if block)


def _photos(metrics: Mapping[str, Any]) -> str:
    lead = f"{metrics['pictures']} photos, {len(metrics['failed'])} without a prediction."
    return f"{lead}\n\n{markdown_table(('', ''), _rows(metrics, _PHOTO_ROWS))}"


def _scenes(metrics: Mapping[str, Any]) -> str:
    lead = f"{metrics['scenes']} scenes with {metrics['hands']} hands."
    return f"{lead}\n\n{markdown_table(('', ''), _rows(metrics, _DETECTOR_ROWS))}"


def _rows(metrics: Mapping[str, Any], rows: Mapping[str, tuple[str, int]]) -> list[tuple[str, str]]:
    """Title and number of what is known."""
    return [
        (title, _number(metrics[name], decimals))
        for name, (title, decimals) in rows.items()
        if metrics.get(name) is not None
    ]


def _titles(columns: Mapping[str, tuple[str, int]]) -> list[str]:
    return [title for title, _ in columns.values()]


def _cells(own: Mapping[str, Any], columns: Mapping[str, tuple[str, int]]) -> list[str]:
    return [_number(own[name], decimals) for name, (_, decimals) in columns.items()]


def _values(values: Mapping[str, Any]) -> str:
    return markdown_table(
        ("value", ""), [(f"`{name}`", _text(value)) for name, value in values.items()]
    )


def _text(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return ", ".join(" ".join(map(str, pair)) for pair in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _count(run: Mapping[str, Any], name: str) -> str:
    return f"{run[name]:,}" if name in run else "unknown"


def _time(run: Mapping[str, Any]) -> str:
    time = run.get("training_time")
    if time is None:
        return "unknown"
    amount = f"{time['cores']} cores" if "cores" in time else f"{time['devices']} devices"
    return f"{time['seconds'] / 3600:.2f} h, {time['device']}, {amount}"


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
