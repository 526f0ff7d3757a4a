"""From hands' scores to a benchmark's numbers: over the hands that were found, and over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from i2uv_jax.evaluate import visibility
from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.hand_scores import F_THRESHOLDS_M, THRESHOLDS_M, Scores, curve, score_hands
from i2uv_jax.evaluate.sample import Benchmark, Sample, named, stacked
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.metrics import area_under_curve

_KEYPOINT_KINDS = ("keypoint", "keypoint_root", "keypoint_scaled", "keypoint_aligned")
_VERTEX_KINDS = ("vertex", "vertex_aligned")


@dataclass(frozen=True)
class Evaluation:
    """A benchmark's samples, the answers to them and how they score."""

    benchmark: Benchmark
    answers: Sequence[Answer]
    scores: Scores
    """Hands that were not found are scored as hands of zeros alone, as the challenges do."""
    found: Bool[np.ndarray, "n"]

    @property
    def has_keypoint_truth(self) -> Bool[np.ndarray, "n"]:
        return np.isfinite(self.scores["keypoint"]).all(axis=1)

    @property
    def main_error_mm(self) -> Float[np.ndarray, "n"]:
        """What samples are ranked by: the aligned keypoint error, NaN if there is none."""
        errors = 1000 * self.scores["keypoint_aligned"].mean(axis=1)
        return np.where(self.found, errors, np.nan)


def evaluate(benchmark: Benchmark, answers: Sequence[Answer]) -> Evaluation:
    """Scores all answers.

    Raises:
      ValueError: meshes have different numbers of vertices.
    """
    found = np.array([answer.problem is None for answer in answers])
    counts = {len(a.vertices) for a in answers if a.vertices is not None}
    if len(counts) > 1:
        raise ValueError(f"predicted meshes have different numbers of vertices: {sorted(counts)}")
    keypoints = np.stack([np.nan_to_num(answer.keypoints) for answer in answers])
    vertices = None
    if counts:
        nothing = np.zeros((counts.pop(), 3), np.float32)
        vertices = np.stack([nothing if a.vertices is None else a.vertices for a in answers])
    scores = score_hands(
        keypoints,
        stacked(benchmark.samples, "keypoints"),
        vertices,
        stacked(benchmark.samples, "vertices"),
        reflect=benchmark.reflect,
    )
    return Evaluation(benchmark, answers, scores, found)


def summarize(evaluation: Evaluation) -> dict[str, object]:
    """All that metrics.json says but for the model's name. Millimetres; what cannot be said is
    None."""
    benchmark, scores, found = evaluation.benchmark, evaluation.scores, evaluation.found
    names = [sample.name for sample in benchmark.samples]
    missed = named(zip(names, (answer.problem for answer in evaluation.answers), strict=True))
    truthless = named((sample.name, sample.problem) for sample in benchmark.samples)
    everything = np.ones_like(found)
    return {
        "benchmark": benchmark.name,
        "pictures": len(names),
        "found": int(found.sum()),
        "with_keypoint_truth": int(evaluation.has_keypoint_truth.sum()),
        "problems": {"predictions": missed, "ground_truth": truthless},
        "scores": {
            "found": scores_over(scores, found, scaled=benchmark.scales_and_shifts),
            "all": scores_over(scores, everything, scaled=benchmark.scales_and_shifts),
        },
        "aligned_keypoint_mm_by_keypoint": _by_keypoint(scores["keypoint_aligned"][found]),
        "groups": {
            title: {
                label: {"hands": int((own & found).sum()), **_short(scores, own & found)}
                for label, own in groups.items()
            }
            for title, groups in sample_groups(benchmark.samples).items()
        },
    }


def scores_over(
    scores: Scores, chosen: Bool[np.ndarray, "n"], *, scaled: bool = False
) -> dict[str, float | None]:
    """The official numbers over some of the hands; those without truth do not count.

    Args:
      scaled: with HO-3D's alignment by scale and wrist.
    """
    numbers: dict[str, float | None] = {}
    for kind in _KEYPOINT_KINDS:
        if kind == "keypoint_scaled" and not scaled:
            continue
        errors = scores[kind][chosen]
        errors = errors[np.isfinite(errors).all(axis=1)]
        numbers[f"{kind}_mm"] = _mean(1000 * errors)
        numbers[f"{kind}_auc"] = auc(curve(errors)) if len(errors) else None
    for kind in _VERTEX_KINDS:
        errors = scores.get(kind, np.zeros(0))
        known = np.isfinite(errors) & chosen if len(errors) else np.zeros(0, bool)
        numbers[f"{kind}_mm"] = _mean(1000 * errors[known])
        curves = scores[f"{kind}_curve"][known] if known.any() else []
        numbers[f"{kind}_auc"] = auc(curves) if len(curves) else None
    for kind in ("f", "f_aligned", "f_aligned_as_script"):
        if kind not in scores:
            continue
        values = scores[kind][chosen]
        values = values[np.isfinite(values).all(axis=1)]
        for column, threshold in enumerate(F_THRESHOLDS_M):
            numbers[f"{kind}_{1000 * threshold:.0f}"] = _mean(values[:, column])
    return numbers


def auc(curves: Float[np.ndarray, "n 100"]) -> float:
    """Area under the mean of hands' curves, over 0 to 50 mm."""
    return float(area_under_curve(np.mean(curves, axis=0), THRESHOLDS_M))


def sample_groups(
    samples: Sequence[Sample],
) -> dict[str, dict[str, Bool[np.ndarray, "n"]]]:
    """Which samples belong to which group, by what they are grouped by; empty groups are left
    out."""
    labels = {
        "visible share": (
            visibility.SHARES, [visibility.share_group(s.visible_share) for s in samples]
        ),
        "view": (
            visibility.VIEWS,
            [visibility.view_group(s.keypoints, is_left=s.is_left) for s in samples],
        ),
        "pose": (visibility.POSES, [visibility.pose_group(s.keypoints) for s in samples]),
        "size": (visibility.FILLS, [visibility.fill_group(s.fill) for s in samples]),
        "skin tone": (visibility.TONES, [visibility.tone_group(s.monk_tone) for s in samples]),
        "age": (visibility.AGES, [visibility.age_group(s.age) for s in samples]),
    }  # fmt: skip
    groups: dict[str, dict[str, np.ndarray]] = {}
    for title, (order, found) in labels.items():
        own = {label: np.array([one == label for one in found], bool) for label in order}
        own = {label: mask for label, mask in own.items() if mask.any()}
        if own:
            groups[title] = own
    return groups


def _short(scores: Mapping, chosen: np.ndarray) -> dict[str, float | None]:
    numbers = scores_over(scores, chosen)
    kept = ("keypoint_aligned_mm", "vertex_aligned_mm", "f_aligned_5", "f_aligned_15")
    return {name: numbers.get(name) for name in kept}


def _by_keypoint(errors: Float[np.ndarray, "n 21"]) -> dict[str, float | None]:
    known = errors[np.isfinite(errors).all(axis=1)]
    return {
        name: _mean(1000 * column) for name, column in zip(KEYPOINT_NAMES, known.T, strict=True)
    }


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None
