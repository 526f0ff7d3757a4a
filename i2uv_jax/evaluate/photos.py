"""Scores of predicted keypoints on annotated pictures, one by one and together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.imaging.annotations import Annotation
from i2uv_jax.metrics import aligned_position_error, area_under_curve, share_within

NEAR = 0.1
"""Errors of at most this share of the hand's box count as near."""
NEAR_SHARE = f"within_{NEAR:g}_of_box"
"""Name in summaries of the share of keypoints that are near."""

_MAX_SHARE = 0.3
"""Right end of the PCK curve whose area is reported, as a share of the hand's box."""
_NUM_THRESHOLDS = 100


@dataclass(frozen=True)
class PhotoScore:
    """How one picture's keypoints came out."""

    file: str
    hand: str
    """ "left" or "right": what the prediction was told."""
    errors: Float[np.ndarray, "21"] | None
    """Distance in the picture over the longer side of the hand's box; NaN where the keypoint is not
    visible or was not found. None without 2D keypoints."""
    visible: Bool[np.ndarray, "21"] | None
    """Which keypoints count."""
    aligned_mm: float | None = None
    """Mean error of the 3D keypoints after Procrustes alignment; None without 3D keypoints."""
    failure: str | None = None
    """Why there is no prediction."""

    @property
    def mean_error(self) -> float | None:
        """Over the visible keypoints; None where nothing can be said."""
        if self.errors is None or self.failure is not None:
            return None
        return float(np.mean(self.errors[self.visible]))


def score_photo(
    annotation: Annotation,
    hand: str,
    keypoints_2d: Float[np.ndarray, "21 2"] | None,
    keypoints_3d_mm: Float[np.ndarray, "21 3"] | None,
) -> PhotoScore:
    """One picture's score.

    The unit of 2D errors is the longer side of the annotation's box or, without one, of the box of
    its visible keypoints.

    Args:
      hand: "left" or "right": what the prediction was told.
      keypoints_2d: in pixels of the picture; None is not scored.
      keypoints_3d_mm: in any frame; None is not scored.
    """
    errors = visible = aligned_mm = None
    if annotation.keypoints_2d is not None and keypoints_2d is not None:
        visible = _visible(annotation)
        distances = np.linalg.norm(keypoints_2d - annotation.keypoints_2d[:, :2], axis=-1)
        errors = np.where(visible, distances / _box_side(annotation, visible), np.nan)
    if annotation.keypoints_3d_mm is not None and keypoints_3d_mm is not None:
        aligned_mm = float(aligned_position_error(keypoints_3d_mm, annotation.keypoints_3d_mm))
    return PhotoScore(annotation.file, hand, errors, visible, aligned_mm)


def failed_photo(annotation: Annotation, hand: str, failure: str) -> PhotoScore:
    """The score of a picture without a prediction: every visible keypoint was missed."""
    errors = visible = None
    if annotation.keypoints_2d is not None:
        visible, errors = _visible(annotation), np.full(len(KEYPOINT_NAMES), np.nan)
    return PhotoScore(annotation.file, hand, errors, visible, failure=failure)


def summarize(scores: Sequence[PhotoScore]) -> Mapping[str, object]:
    """All scores together, ready for JSON.

    Mean errors are over pictures that have a prediction; shares are over all annotated keypoints,
    those of pictures without one included. What cannot be said is None.
    """
    annotated = [score for score in scores if score.errors is not None]
    found = [score for score in annotated if score.failure is None]
    in_3d = [score.aligned_mm for score in scores if score.aligned_mm is not None]
    summary: dict[str, object] = {
        "pictures": len(scores),
        "failed": sorted(score.file for score in scores if score.failure is not None),
        "with_keypoints_2d": len(annotated),
        "with_keypoints_3d": len(in_3d),
        "error_over_box": _mean([score.mean_error for score in found]),
        NEAR_SHARE: None,
        "auc_of_pck": None,
        "error_over_box_by_keypoint": None,
        "aligned_keypoint_mm": _mean(in_3d),
    }
    if annotated:
        errors = np.stack([score.errors for score in annotated])
        visible = np.stack([score.visible for score in annotated])
        thresholds = np.linspace(0, _MAX_SHARE, _NUM_THRESHOLDS + 1)
        curve = share_within(errors, thresholds, visible)
        summary[NEAR_SHARE] = float(share_within(errors, np.array([NEAR]), visible)[0])
        summary["auc_of_pck"] = float(area_under_curve(curve, thresholds))
        summary["error_over_box_by_keypoint"] = {
            name: _mean([error for error in column.tolist() if not np.isnan(error)])
            for name, column in zip(KEYPOINT_NAMES, errors.T, strict=True)
        }
    return summary


def _visible(annotation: Annotation) -> np.ndarray:
    return annotation.keypoints_2d[:, 2] > 0


def _box_side(annotation: Annotation, visible: np.ndarray) -> float:
    if annotation.box_xywh is not None:
        return max(annotation.box_xywh[2:])
    points = annotation.keypoints_2d[visible, :2]
    return float(np.ptp(points, axis=0).max()) if len(points) else np.nan


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
