"""Scores of predicted keypoints on annotated pictures, one by one and together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from i2uv_jax.evaluate import visibility
from i2uv_jax.evaluate.answers import NOT_FINITE
from i2uv_jax.evaluate.hand_scores import THRESHOLDS_M
from i2uv_jax.evaluate.sample import named
from i2uv_jax.geometry.alignment import procrustes_align
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.imaging.annotations import Annotation
from i2uv_jax.metrics import area_under_curve, point_distances, share_within

NEAR = 0.1
"""Errors of at most this share of the hand's box count as near."""
NEAR_SHARE = f"within_{NEAR:g}_of_box"
"""Name in summaries of the share of keypoints that are near."""

SHARES_OF_BOX = np.linspace(0, 0.3, 101)
"""Thresholds of the PCK curve in the picture; those in space are `THRESHOLDS_M`."""

_CURVE_DECIMALS = 4

NO_UNIT = "the hand's box has no size"
"""Problem of 2D keypoints whose errors have nothing to be divided by."""

NOTHING_VISIBLE = "no keypoint is visible"
"""Problem of 2D keypoints of which none counts."""


@dataclass(frozen=True)
class PhotoScore:
    """How one picture's keypoints came out."""

    file: str
    hand: str | None
    """ "left" or "right": what the prediction was made for; None where nobody says."""
    errors: Float[np.ndarray, "21"] | None
    """Distance in the picture over the longer side of the hand's box; NaN where the keypoint is not
    visible or was not found. None without 2D keypoints that can be scored."""
    visible: Bool[np.ndarray, "21"] | None
    """Which keypoints count."""
    aligned_errors_mm: Float[np.ndarray, "21"] | None = None
    """Of the 3D keypoints after Procrustes alignment; None without 3D keypoints. Of a picture
    without a prediction those of a hand that is one point, as the challenges count it."""
    failure: str | None = None
    """Why there is no prediction."""
    pose: str | None = None
    """How the hand is held, of `visibility.POSES`; None without 3D keypoints."""
    truth_problem: str | None = None
    """What is wrong with the annotation's keypoints."""

    @property
    def visible_share(self) -> float | None:
        """Of the keypoints; None without 2D ones."""
        return None if self.visible is None else float(np.mean(self.visible))

    @property
    def mean_error(self) -> float | None:
        """Over the visible keypoints; None where nothing can be said."""
        if self.errors is None or self.failure is not None:
            return None
        return float(np.mean(self.errors[self.visible]))

    @property
    def aligned_mm(self) -> float | None:
        """Mean aligned error; None where nothing can be said."""
        if self.aligned_errors_mm is None or self.failure is not None:
            return None
        return float(np.mean(self.aligned_errors_mm))


def score_photo(
    annotation: Annotation,
    hand: str | None,
    keypoints_2d: Float[np.ndarray, "21 2"] | None,
    keypoints_3d_mm: Float[np.ndarray, "21 3"] | None,
) -> PhotoScore:
    """One picture's score; that of a failed one if a number of the prediction is not finite.

    The unit of 2D errors is the longer side of the annotation's box or, without one, of the box of
    its visible keypoints.

    Args:
      hand: "left" or "right": what the prediction was made for; None where nobody says.
      keypoints_2d: in pixels of the picture; None is not scored.
      keypoints_3d_mm: in any frame; None is not scored.
    """
    if not (_is_finite(keypoints_2d) and _is_finite(keypoints_3d_mm)):
        return failed_photo(annotation, hand, NOT_FINITE)
    errors = visible = aligned = None
    if annotation.keypoints_2d is not None and keypoints_2d is not None:
        visible = _visible(annotation)
    if visible is not None and _problem_2d(annotation) is None:
        distances = np.linalg.norm(keypoints_2d - annotation.keypoints_2d[:, :2], axis=-1)
        errors = np.where(visible, distances / _box_side(annotation, visible), np.nan)
    if annotation.keypoints_3d_mm is not None and keypoints_3d_mm is not None:
        aligned = _aligned_errors(keypoints_3d_mm, annotation.keypoints_3d_mm)
    return PhotoScore(annotation.file, hand, errors, visible, aligned, **_what_is_known(annotation))


def failed_photo(annotation: Annotation, hand: str | None, failure: str) -> PhotoScore:
    """The score of a picture without a prediction: every visible keypoint was missed."""
    errors = visible = aligned = None
    if annotation.keypoints_2d is not None:
        visible = _visible(annotation)
        if _problem_2d(annotation) is None:
            errors = np.full(len(KEYPOINT_NAMES), np.nan)
    if annotation.keypoints_3d_mm is not None:
        true = annotation.keypoints_3d_mm
        aligned = _aligned_errors(np.zeros_like(true), true)
    return PhotoScore(
        annotation.file, hand, errors, visible, aligned, failure, **_what_is_known(annotation)
    )


def summarize(scores: Sequence[PhotoScore]) -> Mapping[str, object]:
    """All scores together, ready for JSON.

    Mean errors are over pictures that have a prediction; shares and areas are over all annotated
    keypoints, those of pictures without one included. What cannot be said is None.
    """
    annotated = [score for score in scores if score.errors is not None]
    found = [score for score in annotated if score.failure is None]
    in_3d = [score for score in scores if score.aligned_errors_mm is not None]
    summary: dict[str, object] = {
        "pictures": len(scores),
        "failed": sorted(score.file for score in scores if score.failure is not None),
        "failures": named((score.file, score.failure) for score in scores),
        "ground_truth_problems": named((score.file, score.truth_problem) for score in scores),
        "with_keypoints_2d": len(annotated),
        "with_keypoints_3d": len(in_3d),
        "error_over_box": _mean_known(score.mean_error for score in found),
        NEAR_SHARE: None,
        "auc_of_pck": None,
        "pck_curve": None,
        "error_over_box_by_keypoint": None,
        "aligned_keypoint_mm": _mean([s.aligned_mm for s in in_3d if s.failure is None]),
        "aligned_keypoint_mm_over_all": _mean([np.mean(s.aligned_errors_mm) for s in in_3d]),
        "auc_of_aligned_pck": None,
        "aligned_pck_curve": None,
        "aligned_keypoint_mm_by_keypoint": None,
    }
    summary["groups"] = _groups(scores)
    if annotated:
        errors = np.stack([score.errors for score in annotated])
        visible = np.stack([score.visible for score in annotated])
        curve = share_within(errors, SHARES_OF_BOX, visible)
        summary[NEAR_SHARE] = float(share_within(errors, np.array([NEAR]), visible)[0])
        summary["auc_of_pck"] = float(area_under_curve(curve, SHARES_OF_BOX))
        summary["pck_curve"] = np.round(curve, _CURVE_DECIMALS).tolist()
        summary["error_over_box_by_keypoint"] = _by_keypoint(errors)
    if in_3d:
        aligned = np.stack([score.aligned_errors_mm for score in in_3d])
        curve = share_within(aligned, 1000 * THRESHOLDS_M)
        summary["auc_of_aligned_pck"] = float(area_under_curve(curve, 1000 * THRESHOLDS_M))
        summary["aligned_pck_curve"] = np.round(curve, _CURVE_DECIMALS).tolist()
        summary["aligned_keypoint_mm_by_keypoint"] = _by_keypoint(
            aligned[[score.failure is None for score in in_3d]]
        )
    return summary


def _what_is_known(annotation: Annotation) -> dict[str, str | None]:
    true = annotation.keypoints_3d_mm
    pose = None if true is None else visibility.pose_group(true)
    return {"pose": pose, "truth_problem": annotation.problem or _problem_2d(annotation)}


def _groups(scores: Sequence[PhotoScore]) -> dict[str, dict[str, dict[str, object]]]:
    """Mean errors of what was found, by what the pictures show; empty groups are left out."""
    titles = {
        "visible share of keypoints": (
            visibility.SHARES, [visibility.share_group(score.visible_share) for score in scores]
        ),
        "pose": (visibility.POSES, [score.pose for score in scores]),
    }  # fmt: skip
    groups: dict[str, dict[str, dict[str, object]]] = {}
    for title, (order, labels) in titles.items():
        for label in order:
            own = [s for s, one in zip(scores, labels, strict=True) if one == label]
            found = [score for score in own if score.failure is None]
            if own:
                groups.setdefault(title, {})[label] = {
                    "pictures": len(own),
                    "found": len(found),
                    "error_over_box": _mean_known(score.mean_error for score in found),
                    "aligned_keypoint_mm": _mean_known(score.aligned_mm for score in found),
                }
    return groups


def _mean_known(values: Iterable[float | None]) -> float | None:
    return _mean([value for value in values if value is not None])


def _aligned_errors(points: np.ndarray, true: np.ndarray) -> Float[np.ndarray, "21"]:
    return np.asarray(point_distances(procrustes_align(points, true), true))


def _by_keypoint(errors: Float[np.ndarray, "n 21"]) -> dict[str, float | None]:
    return {
        name: _mean([error for error in column.tolist() if not np.isnan(error)])
        for name, column in zip(KEYPOINT_NAMES, errors.T, strict=True)
    }


def _visible(annotation: Annotation) -> np.ndarray:
    return annotation.keypoints_2d[:, 2] > 0


def _is_finite(points: Float[np.ndarray, "21 d"] | None) -> bool:
    """In single precision: squares of larger numbers are not finite in double precision either."""
    return points is None or bool((np.abs(points) <= np.finfo(np.float32).max).all())


def _problem_2d(annotation: Annotation) -> str | None:
    """Why keypoints in the picture cannot be scored although there are some."""
    if annotation.keypoints_2d is None:
        return None
    visible = _visible(annotation)
    if not visible.any():
        return NOTHING_VISIBLE
    return None if _box_side(annotation, visible) > 0 else NO_UNIT


def _box_side(annotation: Annotation, visible: np.ndarray) -> float:
    """Longer side of the hand's box; one keypoint at least is visible."""
    if annotation.box_xywh is not None:
        return max(annotation.box_xywh[2:])
    return float(np.ptp(annotation.keypoints_2d[visible, :2], axis=0).max())


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
