"""What JPEG compression does to a picture, as a pure, jit-able function.

Only the lossy part: YCbCr (JFIF), halved chroma, 8 x 8 DCT, quantisation, and all of it backwards;
entropy coding loses nothing. Products with small constant matrices, no convolutions. Rounding has
no useful gradient, so none is promised.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_BLOCK = 8

_LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMA_TABLE = np.full((8, 8), 99, np.float32)
_CHROMA_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
"""Quantisation of luma and chroma at quality 50 (ITU-T T.81, tables K.1 and K.2)."""

_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
"""JFIF 1.02, chroma centred on zero."""


def _dct_matrix() -> np.ndarray:
    """Orthonormal DCT-II: row k holds frequency k."""
    frequency, place = np.mgrid[:_BLOCK, :_BLOCK]
    matrix = np.cos(np.pi * (place + 0.5) * frequency / _BLOCK) * np.sqrt(2 / _BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_DCT = _dct_matrix()


def compress_jpeg(
    image: Float[Array, "h w 3"], quality: Float[Array, ""], *, halve_chroma: bool = True
) -> Float[Array, "h w 3"]:
    """The picture after a JPEG file of it was written and read.

    Args:
      image: sRGB-encoded, 0 to 1; both sides multiples of 16 (8 without `halve_chroma`).
      quality: 1 (worst) to 100, on libjpeg's scale; may be traced.
      halve_chroma: keep colour at half the resolution (4:2:0), as cameras mostly do.

    Raises:
      ValueError: a side is no such multiple.
    """
    unit = 2 * _BLOCK if halve_chroma else _BLOCK
    if image.shape[0] % unit or image.shape[1] % unit:
        raise ValueError(f"image: expected sides that are multiples of {unit}, got {image.shape}")
    # libjpeg's rule: tables grow by 50 / quality below 50 and shrink linearly to nothing above.
    quality = jnp.asarray(quality, jnp.float32)
    scale = jnp.where(quality < 50, 50 / quality, 2 - quality / 50)
    luma_step, chroma_step = (
        jnp.clip(jnp.round(table * scale), 1, 255) for table in (_LUMA_TABLE, _CHROMA_TABLE)
    )
    # Planes first: blocks of one plane are what the products run over.
    planes = jnp.einsum("kc,hwc->khw", _TO_YCBCR, 255 * image)
    luma = _quantise(planes[:1] - 128, luma_step)[0] + 128
    chroma = planes[1:]
    if halve_chroma:
        _, height, width = chroma.shape
        chroma = chroma.reshape(2, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    chroma = _quantise(chroma, chroma_step)
    if halve_chroma:
        chroma = jnp.repeat(jnp.repeat(chroma, 2, axis=1), 2, axis=2)
    red, green, blue = (
        luma + first * chroma[0] + second * chroma[1] for first, second in _TO_RGB[:, 1:]
    )
    return jnp.clip(jnp.stack([red, green, blue], axis=-1) / 255, 0, 1)


def _quantise(planes, step):
    """Planes (k, h, w) after their blocks' frequencies were rounded to multiples of `step`."""
    count, height, width = planes.shape
    blocks = planes.reshape(count, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    frequencies = jnp.einsum("up,kipjq,vq->kijuv", _DCT, blocks, _DCT)
    frequencies = step * jnp.round(frequencies / step)
    blocks = jnp.einsum("up,kijuv,vq->kipjq", _DCT, frequencies, _DCT)
    return blocks.reshape(planes.shape)
