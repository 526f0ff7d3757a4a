"""Real pictures to measure the renderer against: a folder of photos, cropped as the renderer does.

A folder may hold annotations (see `i2uv_jax.imaging.annotations`). Photos with a box are cropped to
a square around it, all others to their largest square in the middle.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.imaging.annotations import ANNOTATIONS, read_annotations
from i2uv_jax.imaging.crop import BoxError, SquareCrop, crop_from_box, extract
from i2uv_jax.imaging.read import PICTURE_SUFFIXES, read_photo


def read_real_pictures(folder: str | os.PathLike, size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """All pictures of a folder, sorted by name, as square crops of `size` pixels.

    A crop keeps within its photo, moved or shrunk if need be: an edge of filled pixels would change
    what is measured.

    Raises:
      ValueError: the folder cannot be read or holds no picture, a picture cannot be read, or the
        annotations are broken or name a file that is missing; the message is one line.
    """
    folder = Path(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(f"{folder}: cannot be listed ({error.strerror})") from error
    paths = [path for path in entries if path.suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        raise ValueError(f"{folder}: the folder holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    boxes = _read_boxes(folder / ANNOTATIONS)
    missing = sorted(set(boxes) - {path.name for path in paths})
    if missing:
        raise ValueError(f"{folder / ANNOTATIONS}: names {missing[0]}, which is not in the folder")
    pictures = np.empty((len(paths), size, size, 3), np.uint8)
    for index, path in enumerate(paths):
        photo = read_photo(path)
        try:
            crop = _crop(photo, boxes.get(path.name))
        except BoxError as error:
            raise ValueError(f"{folder / ANNOTATIONS}: {path.name}: {error}") from error
        pictures[index] = extract(photo, crop, size)
    return pictures


def _crop(photo, box_xyxy) -> SquareCrop:
    """The square around the box that lies within the photo."""
    height, width, _ = photo.shape
    centre, side = (width / 2, height / 2), float(min(width, height))
    if box_xyxy is not None:
        wanted = crop_from_box(box_xyxy, width, height)
        centre, side = wanted.centre_px, min(side, wanted.side_px)
    x, y = (
        float(np.clip(middle, side / 2, length - side / 2))
        for middle, length in zip(centre, (width, height), strict=True)
    )
    return SquareCrop((x, y), side)


def _read_boxes(path: Path) -> dict[str, tuple[float, ...] | None]:
    """Box (left, top, right, bottom) or None by file name; empty without annotations."""
    try:
        return {annotation.file: annotation.box_xyxy for annotation in read_annotations(path)}
    except FileNotFoundError:
        return {}
