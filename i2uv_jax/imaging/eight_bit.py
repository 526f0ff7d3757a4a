"""Colours and shares from 0 to 1 as 8-bit values."""

import numpy as np
from jaxtyping import Float, UInt8


def to_bytes(values: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n"]:
    """Rounded to the nearest of 0 to 255; what lies outside 0 to 1 is moved there."""
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
