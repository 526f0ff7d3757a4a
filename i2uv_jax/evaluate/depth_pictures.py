"""Depth pictures that lie beside colour ones."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

_HO3D_STEP_M = 0.00012498664727900177
"""Of a step of HO-3D's depth: low byte in red, high byte in green (the owners' vis_utils.py)."""


def read_ho3d_depth(image_path: Path) -> Float[np.ndarray, "h w"] | None:
    """Metres of the frame's depth picture, 0 where the sensor saw nothing; None if there is none.

    Of a sequence, `depth/FRAME.png` belongs to `rgb/FRAME.*`.
    """
    pixels = _pixels(image_path.parents[1] / "depth" / f"{image_path.stem}.png")
    if pixels is None or pixels.ndim != 3:
        return None
    return _HO3D_STEP_M * (pixels[..., 0].astype(np.float64) + 256.0 * pixels[..., 1])


def read_millimetre_depth(image_path: Path) -> Float[np.ndarray, "h w"] | None:
    """Metres of a 16-bit depth picture in millimetres, placed likewise; None if there is none."""
    pixels = _pixels(image_path.parents[1] / "depth" / f"{image_path.stem}.png")
    if pixels is None or pixels.ndim != 2:
        return None
    return pixels / 1000.0


def _pixels(path: Path) -> np.ndarray | None:
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except OSError:
        return None
