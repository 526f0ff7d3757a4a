"""The user's own pictures as backgrounds: read once on the host, cropped and varied on the device.

A folder becomes one array of bytes that jitted functions take as an argument, so it is neither
baked into a compiled program nor read again. Files are read with NumPy and Pillow only.
"""

import os
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8
from PIL import Image

from i2uv_jax.imaging.read import PICTURE_SUFFIXES, read_photo
from i2uv_jax.render.sensor import gaussian_rows

_SMALLEST_CROP = 0.35
"""Side of the smallest crop, as a share of the stored picture's."""


def load_picture_folder(
    folder: str | os.PathLike, *, size: int, limit: int
) -> UInt8[np.ndarray, "n size size 3"]:
    """The middle squares of a folder's pictures (subfolders included), shrunk to `size` pixels.

    Args:
      folder: read by name order, so that the same folder gives the same array.
      limit: most pictures; where there are more, they are taken evenly from the whole list.

    Raises:
      ValueError: the folder is missing, is no folder or holds no pictures, or a picture cannot be
        read; one line that names the folder or file.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ValueError(f"background folder {folder}: no such folder")
    if not folder.is_dir():
        raise ValueError(f"background folder {folder}: not a folder")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise ValueError(f"background folder {folder}: no pictures in it (jpg, png, webp, ...)")
    if len(paths) > limit:
        paths = [paths[place * len(paths) // limit] for place in range(limit)]
    pictures = np.empty((len(paths), size, size, 3), np.uint8)
    for picture, path in zip(pictures, paths, strict=True):
        picture[:] = _middle_square(read_photo(path), size)
    return pictures


def sample_picture(
    key: PRNGKeyArray,
    pictures: UInt8[Array, "n s s 3"],
    size: int,
    blur: Float[Array, ""] | float = 0.0,
) -> Float[Array, "size size 3"]:
    """A random piece of a random picture: cropped, mirrored, turned by quarters, recoloured.

    Pure and jit-able; sRGB-encoded, 0 to 1.

    Args:
      blur: standard deviation of a further Gaussian blur, in sides of the result.
    """
    index_key, turn_key, number_key = jax.random.split(key, 3)
    side_px = pictures.shape[1]
    picture = jnp.asarray(pictures)[jax.random.randint(index_key, (), 0, len(pictures))]
    share, left, top, mirror, *colour = jax.random.uniform(number_key, (9,))
    share = _SMALLEST_CROP + (1 - _SMALLEST_CROP) * share
    scale = share * side_px / size
    # One matrix per axis crops, shrinks (over the area of a pixel) and blurs.
    centres = (jnp.arange(size) + 0.5) * scale - 0.5
    sigma = scale * jnp.sqrt(0.35**2 + (blur * size) ** 2)
    slack = (1 - share) * side_px
    rows = gaussian_rows(centres + top * slack, sigma, side_px)
    columns = gaussian_rows(centres + left * slack, sigma, side_px)
    columns = jnp.where(mirror < 0.5, columns, columns[::-1])
    piece = jnp.einsum("iy,yxc,jx->ijc", rows, picture.astype(jnp.float32) / 255, columns)
    # Upright three times in four: light mostly comes from above.
    turns = jax.random.randint(turn_key, (), 0, 4) * (colour[0] < 1 / 3)
    piece = jax.lax.switch(turns, [partial(jnp.rot90, k=k) for k in range(4)], piece)
    gain = 0.6 + 0.8 * colour[1]
    tint = 1 + 0.16 * (jnp.stack(colour[2:5]) - 0.5)
    return jnp.clip(piece * gain * tint, 0, 1)


def _middle_square(pixels, size):
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS, box))
