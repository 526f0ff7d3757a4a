"""Pictures as PNG files."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_COMPRESS_LEVEL = 1
"""zlib's fastest: level 6 takes three times as long for files a sixth smaller."""


def png_bytes(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture as a PNG file; the same pixels give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=_COMPRESS_LEVEL)
    return buffer.getvalue()
