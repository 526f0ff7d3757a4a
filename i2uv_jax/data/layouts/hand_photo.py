"""One annotated picture of a hand, whatever set it comes from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from i2uv_jax.hand.mano import KEYPOINT_JOINTS

MAX_ASPECT = 0.01
"""How far the focal lengths along x and y may differ, as a share of their mean."""

PIXEL_CENTRE = 0.5
"""Camera matrices in computer vision mostly count from the centre of the first pixel; ours from the
picture's corner, half a pixel up and left of it."""


@dataclass(frozen=True)
class HandPhoto:
    """A picture's file and what is known of its hand. Metres; x right, y down, z away.

    A left hand is as it is in the picture, not mirrored.
    """

    name: str
    image_path: Path
    focal_px: float
    """Of square pixels: the mean of both axes'."""
    principal_px: tuple[float, float]
    """From the picture's top left corner: the centre of the first pixel is (0.5, 0.5)."""
    keypoints: Float[np.ndarray, "21 3"] | None = None
    """Order of `geometry.keypoints.KEYPOINT_NAMES`."""
    vertices: Float[np.ndarray, "v 3"] | None = None
    wrist: Float[np.ndarray, "3"] | None = None
    """Given also where the other keypoints are kept secret."""
    box_xyxy: tuple[float, float, float, float] | None = None
    """The hand's box in pixels, where the owners give one."""
    mask_path: Path | None = None
    """Picture of the hand in white, where there is one."""
    is_left: bool = False


def camera_values(
    camera_matrix: Float[np.ndarray, "3 3"], *, first_pixel: float, where: str
) -> tuple[float, tuple[float, float]]:
    """(focal_px, principal_px) of a camera matrix.

    Args:
      first_pixel: where the matrix puts the centre of the first pixel, plus this, is ours: 0.5 if
        it counts from pixel centres, 0 if from the picture's corner.
      where: names the picture in an error.

    Raises:
      ValueError: it is no matrix of a camera with square pixels.
    """
    matrix = np.asarray(camera_matrix, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"{where}: expected a camera matrix of 3 x 3 numbers, got {matrix.shape}")
    along_x, along_y = matrix[0, 0], matrix[1, 1]
    focal = (along_x + along_y) / 2
    if not focal > 0 or abs(along_x - along_y) > MAX_ASPECT * focal:
        raise ValueError(
            f"{where}: expected a camera with square pixels, got focal lengths "
            f"{along_x:g} and {along_y:g}"
        )
    return float(focal), (float(matrix[0, 2] + first_pixel), float(matrix[1, 2] + first_pixel))


def from_mano_order(joints: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "21 3"]:
    """MANO's 16 joints and the five finger tips behind them, as our keypoints."""
    return joints[list(KEYPOINT_JOINTS)]


def points(value: object, count: int, where: str) -> Float[np.ndarray, "n 3"]:
    """`count` points as float32.

    Raises:
      ValueError: the value, named by `where`, is something else.
    """
    try:
        array = np.asarray(value, np.float32).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected {count} points, got no numbers") from error
    if len(array) != count or not np.isfinite(array).all():
        raise ValueError(f"{where}: expected {count} points, got {len(array)} or not all finite")
    return array
