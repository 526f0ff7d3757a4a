"""Boxes of hands drawn over a picture: the true ones and those that were found."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from i2uv_jax.detection.boxes import MIN_SCORE, FoundBoxes
from i2uv_jax.detection.scores import TrueBoxes

_TRUE, _LEFT, _RIGHT, _EITHER = (255, 255, 255), (255, 60, 60), (60, 255, 60), (90, 120, 255)


def boxes_over(
    picture: UInt8[np.ndarray, "h w 3"], found: FoundBoxes, true: TrueBoxes
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with boxes in its pixels: true white, found left ones red, right ones green,
    those of unknown sides blue.

    Found ones of less than `MIN_SCORE` are left out.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for box in true.boxes[~true.is_doubtful]:
        draw.rectangle(tuple(box), outline=_TRUE)
    for index in np.flatnonzero(found.scores > MIN_SCORE):
        colour = _EITHER
        if found.is_left is not None:
            colour = _LEFT if found.is_left[index] else _RIGHT
        draw.rectangle(tuple(found.boxes[index]), outline=colour)
    return np.asarray(image)
