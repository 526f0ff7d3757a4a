"""What JPEG compression does to a picture, as a pure, jit-able function.

Only the lossy part: YCbCr (JFIF), halved chroma, 8 x 8 DCT, quantisation, and all of it backwards;
entropy coding loses nothing. Products with small constant matrices, no convolutions. Rounding has
no useful gradient, so none is promised.
"""

import math

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
_HALVING_DCT = np.repeat(_DCT, 2, axis=1) / 2
"""Of the means of neighbours."""
_DOUBLING_DCT = np.repeat(_DCT.T, 2, axis=0)
"""Backwards, each result twice."""


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
    rows = jnp.swapaxes(jnp.asarray(image), 1, 2)
    return jnp.swapaxes(compress_rows(rows, quality, halve_chroma=halve_chroma), 1, 2)


def compress_rows(
    image: Float[Array, "h 3 w"], quality: Float[Array, ""], *, halve_chroma: bool = True
) -> Float[Array, "h 3 w"]:
    """`compress_jpeg` of a picture whose channels stand between rows and columns."""
    height, _, width = image.shape
    unit = 2 * _BLOCK if halve_chroma else _BLOCK
    if height % unit or width % unit:
        raise ValueError(
            f"image: expected sides that are multiples of {unit}, got {height} x {width}"
        )
    # libjpeg's rule: tables grow by 50 / quality below 50 and shrink linearly to nothing above.
    quality = jnp.asarray(quality, jnp.float32)
    scale = jnp.where(quality < 50, 50 / quality, 2 - quality / 50)
    luma_step, chroma_step = (
        jnp.clip(jnp.round(table * scale), 1, 255) for table in (_LUMA_TABLE, _CHROMA_TABLE)
    )
    planes = [
        sum(255 * weight * image[:, channel] for channel, weight in enumerate(weights))
        for weights in _TO_YCBCR
    ]
    luma = _quantise(planes[0] - 128, luma_step, _DCT, _DCT.T) + 128
    forwards, backwards = (_HALVING_DCT, _DOUBLING_DCT) if halve_chroma else (_DCT, _DCT.T)
    chroma = [_quantise(plane, chroma_step, forwards, backwards) for plane in planes[1:]]
    colours = [luma + first * chroma[0] + second * chroma[1] for first, second in _TO_RGB[:, 1:]]
    return jnp.clip(jnp.stack(colours, axis=1) / 255, 0, 1)


def _quantise(plane, step, forwards, backwards):
    """A plane (h, w) after its blocks' frequencies were rounded to multiples of `step`.

    `forwards` (8, n) takes n pixels of an axis to a block's frequencies, `backwards` (n, 8) back.
    """
    frequencies = _transform(plane, forwards)
    step = jnp.tile(step, (1, frequencies.shape[1] // _BLOCK))
    blocks = frequencies.reshape(-1, _BLOCK, frequencies.shape[1])
    blocks = step * jnp.round(blocks / step)
    return _transform(blocks.reshape(frequencies.shape), backwards)


def _transform(plane, matrix):
    """A plane (h, w) with `matrix` (m, n) applied to each n pixels of its rows and its columns."""
    _, width = plane.shape
    down, across = (_repeat(matrix, side) for side in plane.shape)
    plane = plane.reshape(-1, across.shape[1]) @ across.T
    plane = plane.reshape(-1, down.shape[1], width * across.shape[0] // across.shape[1])
    # One matrix for each part of a batched product: any other order of axes would need a transpose.
    down = jnp.broadcast_to(down, (len(plane), *down.shape))
    plane = jnp.einsum("bij,bjx->bix", down, plane)
    return plane.reshape(-1, plane.shape[2])


def _repeat(matrix, side):
    """`matrix` for up to four blocks of an axis at once, as products of small matrices are slow."""
    count = math.gcd(side // matrix.shape[1], 4)
    return np.kron(np.eye(count, dtype=np.float32), matrix)
