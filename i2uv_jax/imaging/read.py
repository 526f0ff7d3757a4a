"""Reading a photo from a file into upright sRGB pixels, or saying in one line why it cannot be.

`read_photo` is the only way in. Whatever a file holds (greyscale, palette, transparency, 16 bits,
CMYK, an EXIF rotation, an ICC profile), the caller gets `(h, w, 3)` uint8 sRGB; whatever is wrong
with it, the caller gets an `ImageError` whose message is one line with the file's name and cause.
Of files with several pictures (animations, multi-page TIFF, MPO) the first one counts.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff",
    ".gif", ".jp2", ".ppm", ".pgm",
)  # fmt: skip
"""File name suffixes (lower case) by which pictures in a directory are recognised."""

HEIF_SUFFIXES = (".heic", ".heif")
"""Of photos that cannot be read, which `read_photo` says in one line."""

# An explicit list, because Pillow would otherwise also try formats that start other programs
# (EPS runs Ghostscript) or that no camera writes.
# ("JPEG" includes the MPO files of stereo and portrait modes.)
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "JPEG2000", "PPM")

MAX_PIXELS = 120_000_000
"""Largest picture that is decoded: 120 million pixels, 360 MB as RGB. Phones reach 108 million."""

MAX_FILE_BYTES = 1_000_000_000
"""Largest file that is read at all: even uncompressed, 120 million pixels of 16 bits take less."""

MIN_SIDE_PX = 16
"""Shorter side a picture must have at least: on fewer pixels no hand can be seen."""

BACKGROUND = (255, 255, 255)
"""What shows through transparent pixels: white, as on a printed page."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"heim", b"heis")


class ImageError(ValueError):
    """A picture that cannot be used; the message is one line naming the file and the cause."""


def read_photo(
    path: str | os.PathLike, *, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "h w 3"]:
    """Reads a picture file as upright sRGB.

    - The EXIF orientation is applied.
    - Transparency is composited on white (`BACKGROUND`).
    - 16-bit greyscale is scaled from 0..65535 to 0..255 with rounding. (Pillow itself keeps the
      high byte of 16-bit colour.)
    - An embedded ICC profile is converted to sRGB; a broken one is ignored.
    - CMYK without a profile is converted by the plain formula.

    Args:
      path: the file.
      max_pixels: pictures whose header announces more pixels are refused before decoding.

    Raises:
      ImageError: the file is missing, empty, not a regular file, unreadable, no picture, cut off,
        larger than `max_pixels` or `MAX_FILE_BYTES`, or smaller than `MIN_SIDE_PX` on a side.
    """
    path = Path(path)
    content = _read_file(path)
    with warnings.catch_warnings():
        # Pillow warns about odd metadata and large pictures; only errors matter here, and
        # the pixel limit is our own.
        warnings.simplefilter("ignore")
        image = _open(path, content, max_pixels)
        try:
            image.load()
            pixels = np.asarray(_to_srgb(_upright(image)))
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None
        except Exception as error:  # Decoders raise anything from IndexError to struct.error.
            raise ImageError(f"{path}: cut off or damaged picture ({_one_line(error)})") from error
    return pixels


def _read_file(path: Path) -> bytes:
    """The file's bytes; only of regular files, because reading a pipe or device may never end."""
    try:
        if path.is_dir():
            raise ImageError(f"{path}: is a directory, not a picture file")
        if not path.exists():
            is_address = path.parts[:1] in (("http:",), ("https:",))
            hint = "; what an address names has to be downloaded first" if is_address else ""
            raise ImageError(f"{path}: no such file or folder{hint}")
        if not path.is_file():
            raise ImageError(f"{path}: not a regular file")
        num_bytes = path.stat().st_size
        if num_bytes > MAX_FILE_BYTES:
            raise ImageError(
                f"{path}: too large, {num_bytes / 1e9:.1f} GB, "
                f"at most {MAX_FILE_BYTES / 1e9:.0f} GB are read"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read ({error.strerror or _one_line(error)})"
        ) from error
    if not content:
        raise ImageError(f"{path}: the file is empty")
    return content


def _open(path: Path, content: bytes, max_pixels: int) -> Image.Image:
    """Parses the header only, and checks the size it announces."""
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        # Pillow's own limit.
        allowed = min(max_pixels, 2 * Image.MAX_IMAGE_PIXELS)
        raise ImageError(
            f"{path}: too large, at most {allowed / 1e6:.0f} million pixels are read"
        ) from error
    except Exception as error:  # UnidentifiedImageError, and whatever broken headers provoke.
        if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
            cause = "HEIC pictures are not supported, convert it to JPEG first"
        elif not isinstance(error, UnidentifiedImageError):
            cause = f"damaged picture ({_one_line(error)})"
        else:
            cause = "not a picture in a known format (JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, ...)"
        raise ImageError(f"{path}: {cause}") from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{path}: too large, {width} x {height} pixels, "
            f"at most {max_pixels / 1e6:.0f} million pixels are read"
        )
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(
            f"{path}: too small to show a hand, {width} x {height} pixels, "
            f"expected at least {MIN_SIDE_PX} on each side"
        )
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Broken EXIF data next to a sound picture: take the picture as it is.
        return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB with sRGB encoding."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey_from_deep_pixels(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(canvas, image).convert("RGB")
    elif image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _apply_profile(image, profile)
    return image.convert("RGB")


def _grey_from_deep_pixels(image: Image.Image) -> Image.Image:
    """16-bit greyscale (modes I;16*, and I where a decoder widened it) to 8 bits; where one value
    stands for transparency, with an alpha channel."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ImageError("32-bit pixels have no defined white; save it with 8 or 16 bits")
    # 65535 / 257 = 255: full scale maps to full scale.
    grey = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Converts from an embedded ICC profile to sRGB; leaves the pixels where that cannot be done.

    Pictures that are sRGB already, the usual case, keep their exact values.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (source.profile.profile_description or "").lower():
            return image
        return ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A broken profile, or one for another colour model than the pixels have.
        return image


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
