"""Colours of errors that are expected of a mesh's vertices."""

import numpy as np
from jaxtyping import Float

ERROR_COLOURS = {0.0: (0.15, 0.70, 0.25), 15.0: (0.98, 0.85, 0.20), 30.0: (0.85, 0.12, 0.12)}
"""Red, green and blue, 0 to 1, by millimetres: green, yellow, and red for 30 mm and more."""


def error_colours(error_mm: Float[np.ndarray, " v"]) -> Float[np.ndarray, "v 3"]:
    """The colours of `ERROR_COLOURS`, and between them their mixtures."""
    channels = np.array(list(ERROR_COLOURS.values())).T
    return np.column_stack(
        [np.interp(error_mm, list(ERROR_COLOURS), values) for values in channels]
    )
