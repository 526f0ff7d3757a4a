"""Photos of a hand for timing: drawn in moments, without the renderer, which compiles for minutes.

They have the size of photos, the noise of a sensor and a hand in the middle, so that decoders,
crops and networks have the work that they have with photos. Good for nothing else.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from i2uv_jax.geometry.host_normals import unit
from i2uv_jax.hand.asset import load_hand

_HAND_SHARE = 0.6
"""The hand's length as a share of the photo's shorter side."""
_SKIN = np.array([224.0, 172.0, 150.0])
_NOISE = 4.0
"""Standard deviation of the sensor's noise, in levels of 255."""
_NUM_DRAWN = 16
"""Photos that differ; further ones repeat their bytes, which a decoder cannot know."""
_QUALITY = 90


@dataclass(frozen=True)
class DrawnPhotos:
    """JPEG files, all of one size, with the hand at one place."""

    paths: tuple[Path, ...]
    width: int
    height: int
    box_xyxy: tuple[float, float, float, float]
    """The hand's, in each of them."""


def write_photos(folder: Path, count: int, width: int) -> DrawnPhotos:
    """Draws photos into a folder, three quarters as high as wide; the same ones every time.

    Raises:
      OSError: a file cannot be written.
    """
    height = 3 * width // 4
    files = [_jpeg(draw_photo(width, height, seed)) for seed in range(min(count, _NUM_DRAWN))]
    paths = tuple(folder / f"photo_{index:05}.jpg" for index in range(count))
    for index, path in enumerate(paths):
        path.write_bytes(files[index % len(files)])
    radius = _HAND_SHARE * height / 2
    box = (width / 2 - radius, height / 2 - radius, width / 2 + radius, height / 2 + radius)
    return DrawnPhotos(paths, width, height, box)


def draw_photo(width: int, height: int, seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """A right hand's palm on blurred colours, turned by what the seed says."""
    rng = np.random.default_rng(seed)
    # One colour for every 40 pixels or so, and between them smooth changes.
    coarse = rng.integers(70, 190, (height // 40 + 2, width // 40 + 2, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    _draw_hand(photo, rng.uniform(0, 2 * np.pi))
    noisy = np.asarray(photo) + rng.normal(0, _NOISE, (height, width, 3))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def _draw_hand(photo: Image.Image, turn: float) -> None:
    """Its triangles, the far ones first, lit from the viewer's side."""
    hand = load_hand()
    # The template's frame has y up and z to the viewer; pictures have y down and z away.
    points = (hand.template - hand.template.mean(axis=0)) * [1, -1, -1]
    diameter = 2 * np.linalg.norm(points[:, :2], axis=-1).max()
    cos, sin = np.cos(turn), np.sin(turn)
    flat = points[:, :2] @ [[cos, sin], [-sin, cos]]
    flat = flat * (_HAND_SHARE * min(photo.size) / diameter) + np.array(photo.size) / 2
    corners = points[hand.faces]
    normals = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    draw = ImageDraw.Draw(photo)
    for face in np.argsort(-corners[..., 2].mean(axis=-1)):
        colour = _SKIN * (0.35 + 0.65 * abs(normals[face, 2]))
        triangle = [tuple(point) for point in flat[hand.faces[face]].tolist()]
        draw.polygon(triangle, fill=tuple(int(level) for level in colour))


def _jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
