"""Many pictures on one."""

import math

import numpy as np
from jaxtyping import UInt8

_GAP_PX = 2
_PAPER = (255, 255, 255)


def contact_sheet(pictures: UInt8[np.ndarray, "n s s 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The pictures row by row in the smallest square grid that holds them, with gaps between.

    Rows that would be empty are left out.

    Raises:
      ValueError: there is no picture.
    """
    count, size = pictures.shape[:2]
    if count == 0:
        raise ValueError("a contact sheet needs at least one picture")
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    step = size + _GAP_PX
    sheet = np.empty((rows * step - _GAP_PX, columns * step - _GAP_PX, 3), np.uint8)
    sheet[:] = _PAPER
    for index, picture in enumerate(pictures):
        top, left = (step * place for place in divmod(index, columns))
        sheet[top : top + size, left : left + size] = picture
    return sheet
