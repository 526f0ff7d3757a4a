"""What users pass to a predictor, checked and spread to one value a picture."""

import os
from collections.abc import Iterable, Sequence

import jax
import numpy as np

from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS

_READ_IT = " (i2uv_jax.read_photo reads a file)"

_MAX_ASPECT_ERROR = 0.02
"""Relative difference of fx and fy up to which pixels count as square."""


def as_pictures(images) -> tuple[list[np.ndarray], bool]:
    """The pictures as a list, and whether a single one was given."""
    if isinstance(images, np.ndarray | jax.Array):
        is_single = images.ndim != 4
    else:
        is_single = isinstance(images, str | os.PathLike) or not isinstance(images, Iterable)
    pictures = [as_picture(picture) for picture in ([images] if is_single else images)]
    if not pictures:
        raise ValueError("images: expected at least one picture, got none")
    return pictures, is_single


def as_picture(image) -> np.ndarray:
    """One picture, (h, w, 3) uint8."""
    if isinstance(image, str | os.PathLike):
        raise ValueError(f"images: expected pixels, got {type(image).__name__}{_READ_IT}")
    picture = np.asarray(image)
    if picture.ndim != 3 or picture.shape[-1] != 3 or 0 in picture.shape:
        raise ValueError(f"images: expected pictures of shape (h, w, 3), got {picture.shape}")
    if picture.dtype != np.uint8:
        raise ValueError(f"images: expected dtype uint8 (0 to 255), got {picture.dtype}")
    return picture


def as_handedness(handedness, count: int) -> list[str]:
    sides = [handedness] * count if isinstance(handedness, str) else list(handedness)
    _check_count("handedness", sides, count)
    for side in sides:
        if side not in ("left", "right", "auto"):
            raise ValueError(f'handedness: expected "left" or "right" or "auto", got {side!r}')
    return sides


def as_boxes(box_xyxy, count: int) -> list[Sequence[float] | None]:
    if box_xyxy is None:
        return [None] * count
    boxes = list(box_xyxy)
    if all(np.ndim(value) == 0 and value is not None for value in boxes):
        return [boxes] * count
    _check_count("box_xyxy", boxes, count)
    return boxes


def as_cameras(camera, count: int) -> list[np.ndarray | None]:
    if camera is None:
        return [None] * count
    cameras = [camera] * count if _is_matrix(camera) else list(camera)
    _check_count("camera", cameras, count)
    return [None if matrix is None else _checked_intrinsics(matrix) for matrix in cameras]


def as_keypoints(keypoints, count: int) -> list[np.ndarray | None]:
    """One array (21, 3) a picture, with NaN where nothing is known."""
    if keypoints is None:
        return [None] * count
    given = [keypoints] * count if _is_matrix(keypoints) else list(keypoints)
    _check_count("keypoints", given, count)
    return [None if points is None else _checked_keypoints(points) for points in given]


def _is_matrix(value) -> bool:
    """Whether it is a single array of two axes, or lists of that form; not one for each picture."""
    try:
        return np.ndim(value) == 2
    except ValueError:  # Of several shapes, as where some are None.
        return False


def _checked_keypoints(points) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.shape not in ((NUM_KEYPOINTS, 2), (NUM_KEYPOINTS, 3)):
        raise ValueError(
            f"keypoints: expected shape ({NUM_KEYPOINTS}, 2) or ({NUM_KEYPOINTS}, 3), got "
            f"{points.shape}"
        )
    depth = points[:, 2:] if points.shape[1] == 3 else np.full((NUM_KEYPOINTS, 1), np.nan)
    return np.concatenate([points[:, :2], depth], axis=1)


def _check_count(name: str, values: list, count: int) -> None:
    if len(values) != count:
        raise ValueError(
            f"{name}: expected one for all or {count} (one a picture), got {len(values)}"
        )


def _checked_intrinsics(matrix) -> np.ndarray:
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"camera: expected a finite 3 x 3 matrix, got shape {matrix.shape}")
    fx, fy = matrix[0, 0], matrix[1, 1]
    if not (fx > 0 and fy > 0 and abs(fx - fy) <= _MAX_ASPECT_ERROR * fx):
        raise ValueError(f"camera: expected equal positive focal lengths, got {fx:g} and {fy:g}")
    rest = [matrix[0, 1], matrix[1, 0], *matrix[2]]
    if not np.allclose(rest, [0, 0, 0, 0, 1], atol=1e-6 * fx):
        raise ValueError("camera: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] without skew")
    return matrix
