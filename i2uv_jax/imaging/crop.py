"""Square crops: where they lie in a photo, how their pixels are made, and the way back.

Pixel coordinates are edge to edge: the picture spans 0 to width and 0 to height, and the centre
of pixel (column i, row j) is (i + 0.5, j + 0.5). Crop coordinates span the square from 0 to 1 the
same way. A crop is an exact square of the photo, axis-aligned (`SquareCrop`) or turned
(`TurnedCrop`), at fractions of a pixel if need be; what lies outside the photo is filled with
`FILL`.

Worked example: a crop with the corners (10, 20) and (30, 40), resampled to 4 x 4, has pixels of
5 photo pixels each; the centre of its pixel (column 1, row 0) is (0.375, 0.125) in crop coordinates
and (17.5, 22.5) in the photo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

FILL = (127, 127, 127)
"""Colour of crop pixels outside the photo: mid grey, near the mean of natural pictures."""

BOX_MARGIN = 0.25
"""Room around a hand's bounding box: the crop's side is the longer box side times 1 + margin."""

MIN_BOX_SIDE_PX = 8
"""A box whose longer side is shorter than this shows no hand; it is taken for a mistake."""


class BoxError(ValueError):
    """A box that does not mark a part of the picture; the message is one line."""


@dataclass(frozen=True)
class SquareCrop:
    """A square part of a photo; may reach past the photo's edges."""

    centre_px: tuple[float, float]
    """(x, y) of the square's middle in the photo's pixel coordinates."""
    side_px: float
    """Length of the square's side in pixels of the photo."""

    @property
    def corner_px(self) -> tuple[float, float]:
        """(x, y) of the top left corner."""
        return self.centre_px[0] - self.side_px / 2, self.centre_px[1] - self.side_px / 2

    @property
    def xyxy_px(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge."""
        left, top = self.corner_px
        return left, top, left + self.side_px, top + self.side_px

    def to_pixels(self, points_crop: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b 2"]:
        """Crop coordinates (0 to 1) to pixel coordinates of the photo."""
        return np.asarray(points_crop) * self.side_px + np.asarray(self.corner_px)

    def to_crop(self, points_px: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b 2"]:
        """Pixel coordinates of the photo to crop coordinates (0 to 1)."""
        return (np.asarray(points_px) - np.asarray(self.corner_px)) / self.side_px


@dataclass(frozen=True)
class TurnedCrop:
    """A square part of a photo that need not stand upright; may reach past the photo's edges."""

    centre_px: tuple[float, float]
    """(x, y) of the square's middle in the photo's pixel coordinates."""
    side_px: float
    """Length of the square's side in pixels of the photo."""
    angle: float
    """Radians from the photo's x axis to the square's, which is clockwise on the screen."""

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """Rows: the directions of the square's x and y axes in the photo."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    @property
    def upright(self) -> SquareCrop:
        """The smallest axis-aligned square about the same middle that holds this one."""
        extent = abs(math.cos(self.angle)) + abs(math.sin(self.angle))
        return SquareCrop(self.centre_px, self.side_px * extent)

    def to_pixels(self, points_crop: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b 2"]:
        """Crop coordinates (0 to 1) to pixel coordinates of the photo."""
        return (np.asarray(points_crop) - 0.5) * self.side_px @ self.axes + self.centre_px

    def to_crop(self, points_px: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b 2"]:
        """Pixel coordinates of the photo to crop coordinates (0 to 1)."""
        return (np.asarray(points_px) - self.centre_px) @ self.axes.T / self.side_px + 0.5


def crop_whole(width: int, height: int) -> SquareCrop:
    """The smallest centred square that holds the whole picture."""
    return SquareCrop((width / 2, height / 2), float(max(width, height)))


def crop_from_box(
    box_xyxy: Sequence[float], width: int, height: int, *, margin: float = BOX_MARGIN
) -> SquareCrop:
    """The square around a hand's bounding box, with room on all sides.

    The square has the box's centre, and the longer box side times (1 + margin) as its side. The
    box may reach past the picture's edges, as boxes of cut-off hands do; that part becomes `FILL`.

    Args:
      box_xyxy: left, top, right, bottom in pixels of the picture.
      width: the picture's width in pixels.
      height: the picture's height in pixels.
      margin: additional length as a share of the longer box side.

    Raises:
      BoxError: not four finite numbers, edges not in order, smaller than `MIN_BOX_SIDE_PX`, wholly
        outside the picture, or so large that the picture would be a speck in it.
    """
    values = np.asarray(box_xyxy, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise BoxError(f"box: expected four finite numbers X0 Y0 X1 Y1, got {box_xyxy}")
    left, top, right, bottom = (float(value) for value in values)
    name = f"box {left:g} {top:g} {right:g} {bottom:g}"
    if right <= left or bottom <= top:
        raise BoxError(f"{name}: expected X0 < X1 and Y0 < Y1")
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise BoxError(f"{name}: lies outside the picture of {width} x {height} pixels")
    side = max(right - left, bottom - top)
    if side < MIN_BOX_SIDE_PX:
        raise BoxError(f"{name}: expected at least {MIN_BOX_SIDE_PX} pixels on the longer side")
    if side > 4 * max(width, height):
        raise BoxError(f"{name}: far larger than the picture of {width} x {height} pixels")
    return SquareCrop(((left + right) / 2, (top + bottom) / 2), side * (1 + margin))


def can_be_cropped(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a model can look at a box: a speck, or one outside the picture, is no hand."""
    try:
        crop_from_box(box, width, height)
    except BoxError:
        return False
    return True


def extract(
    photo: UInt8[np.ndarray, "h w 3"],
    crop: SquareCrop,
    size: int,
    *,
    fill: tuple[int, int, int] = FILL,
) -> UInt8[np.ndarray, "size size 3"]:
    """Resamples a square part of a photo to size x size pixels, antialiased.

    Pixels outside the photo become `fill`.

    Shrinking averages over a triangle as wide as the reduction (Pillow's BILINEAR with support
    scaling), enlarging interpolates linearly, and an unscaled crop on whole pixels copies them.
    """
    scale = crop.side_px / size  # Photo pixels per crop pixel.
    left, top = crop.corner_px
    height, width, _ = photo.shape
    across, down = _span(left, width, scale, size), _span(top, height, scale, size)
    if across.is_empty or down.is_empty:
        return np.full((size, size, 3), fill, np.uint8)
    seen = Image.fromarray(photo[down.low : down.high, across.low : across.high])
    if seen.size != (across.padded, down.padded):
        padded = Image.new("RGB", (across.padded, down.padded), fill)
        padded.paste(seen, (across.pad, down.pad))
        seen = padded
    resampled = seen.resize(
        (across.last - across.first, down.last - down.first),
        Image.Resampling.BILINEAR,
        box=(across.start, down.start, across.end, down.end),
    )
    if resampled.size == (size, size):
        return np.array(resampled)
    picture = Image.new("RGB", (size, size), fill)
    picture.paste(resampled, (across.first, down.first))
    return np.array(picture)


def extract_turned(
    photo: UInt8[np.ndarray, "h w 3"],
    crop: TurnedCrop,
    size: int,
    *,
    fill: tuple[int, int, int] = FILL,
) -> UInt8[np.ndarray, "size size 3"]:
    """As `extract`, for a turned square, less smoothly.

    Shrinking averages over blocks of as many whole pixels as come closest to the reduction, and
    interpolates linearly between those.
    """
    scale = crop.side_px / size  # Photo pixels per crop pixel.
    block = max(round(scale), 1)
    left, top, right, bottom = crop.upright.xyxy_px
    height, width, _ = photo.shape
    first_column, last_column = _blocks(left, right, width, block)
    first_row, last_row = _blocks(top, bottom, height, block)
    if first_column >= last_column or first_row >= last_row:
        return np.full((size, size, 3), fill, np.uint8)
    seen = Image.fromarray(photo[first_row:last_row, first_column:last_column])
    whole = tuple(-(-side // block) * block for side in seen.size)
    if seen.size != whole:  # The photo ends within a block.
        seen, cut = Image.new("RGB", whole, fill), seen
        seen.paste(cut)
    reduced = seen.reduce(block) if block > 1 else seen
    # From the result's pixel coordinates to the blocks', both edge to edge as Pillow's.
    step = crop.axes.T * (scale / block)
    middle = (np.array(crop.centre_px) - [first_column, first_row]) / block
    coefficients = np.column_stack([step, middle - step @ np.full(2, size / 2)]).ravel()
    return np.array(
        reduced.transform(
            (size, size),
            Image.Transform.AFFINE,
            tuple(coefficients),
            Image.Resampling.BILINEAR,
            fillcolor=fill,
        )
    )


def _blocks(start: float, end: float, length: int, block: int) -> tuple[int, int]:
    """Half-open range of photo pixels on one axis that `extract_turned` needs: whole blocks where
    the photo has them, and one more on each side for the interpolation."""
    first = (math.floor(start / block) - 1) * block
    last = (math.ceil(end / block) + 1) * block
    return min(max(first, 0), length), max(min(last, length), 0)


@dataclass(frozen=True)
class _Span:
    """What one axis of a crop needs of the photo.

    Crop pixels wholly outside the photo are left out, so that a crop far larger than the photo (a
    panorama's) is never padded to its full size: where the others reach past the edge, it is by
    less than one crop pixel.
    """

    first: int
    """Crop pixels `first` to `last` see the photo."""
    last: int
    low: int
    """Photo pixels `low` to `high` are seen."""
    high: int
    pad: int
    """Pixels outside the photo in front of them."""
    padded: int
    """Length with those in front and behind."""
    start: float
    """Where crop pixels `first` to `last` begin and end in the padded pixels."""
    end: float

    @property
    def is_empty(self) -> bool:
        return self.first >= self.last


def _span(start: float, length: int, scale: float, size: int) -> _Span:
    """Crop pixel j covers start + j * scale to start + (j + 1) * scale of `length` photo pixels."""
    first = min(max(math.floor(-start / scale), 0), size)
    last = min(max(math.ceil((length - start) / scale), 0), size)
    used_start, used_end = start + first * scale, start + last * scale
    low, high = _covered(start, length, scale, size)
    pad = max(math.ceil(-used_start), 0)
    padded = pad + high - low + max(math.ceil(used_end - length), 0)
    offset = low - pad  # Position of the first padded pixel.
    # Pillow refuses a box that rounding made too large.
    box = max(used_start - offset, 0.0), min(used_end - offset, padded)
    return _Span(first, last, low, high, pad, padded, *box)


def _covered(start: float, length: int, scale: float, size: int) -> tuple[int, int]:
    """Half-open range of photo pixels on one axis that can reach into the crop's pixels.

    A crop pixel weighs photo pixels up to max(scale, 1) from its centre, itself half of `scale`
    inside the crop; one pixel more is room for rounding.
    """
    reach = max(scale, 1.0) + 1
    first = math.floor(start - reach)
    last = math.ceil(start + scale * size + reach)
    return min(max(first, 0), length), max(min(last, length), 0)
