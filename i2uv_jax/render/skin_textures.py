"""Skins as the renderer takes them: photographic textures from a folder, and procedural ones.

A folder of skins holds whole-body diffuse textures in MakeHuman's body UV space (square pictures of
any size, any format that Pillow reads), one a person. Host, NumPy and Pillow; what leaves this
module is small and is handed to the renderer as an argument, never baked into its program.
"""

from pathlib import Path

import numpy as np
from flax import struct
from jaxtyping import Float, UInt
from PIL import Image, UnidentifiedImageError

from i2uv_jax.config import SkinConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.render.skin_atlas import body_rectangles, pack
from i2uv_jax.render.skin_features import CHANNELS, NUM_VARIANTS, feature_maps

_SUFFIXES = (".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_NOISE_SIZE = 256
_NOISE_BANDS = ((1, 100), (6, 110), (16, 48), (40, 110))
"""Lowest and highest waves per tile of each of the noise's four channels, whose amplitude falls
with frequency: the first two are clouds, the others grain."""


@struct.dataclass
class SkinTextures:
    """Every skin that hands can wear, as arrays (a pytree)."""

    atlases: UInt[np.ndarray, "n h w 2"]
    """Skin atlases, packed (`skin_atlas.pack`): first the procedural variants with the channels of
    `skin_features.CHANNELS`, then the photographic ones, whose first three channels are sRGB."""
    photo_tones: Float[np.ndarray, "photos 3"]
    """Mean logarithm of each photographic skin's linear colour."""
    noise: UInt[np.ndarray, "m m"]
    """Four bands of seamless noise, coarse to fine, each with mean 0.5, as bytes of one word."""

    @property
    def num_photos(self) -> int:
        return self.photo_tones.shape[0]


def load_skin_textures(config: SkinConfig, hand: Hand) -> SkinTextures:
    """Draws the procedural skins and, if the config names a folder, reads the photographic ones.

    Raises:
      ValueError: the folder is missing or empty, or a file in it is no readable square picture.
    """
    photos = None
    if config.folder is not None:
        photos = read_skins(config.folder, hand, config.texture_size)
    features = feature_maps(hand, config.texture_size)
    if photos is None:
        photos = np.zeros((0, *features.shape[1:3], 3), np.uint8)
    skins = np.concatenate([features, np.tile(features[:1], (len(photos), 1, 1, 1))])
    skins[NUM_VARIANTS:, ..., :3] = photos
    relief = CHANNELS.index("height")
    for skin, photo in zip(skins[NUM_VARIANTS:], photos, strict=True):
        skin[..., relief] = _relief_of(photo)
    linear = (np.maximum(photos, 1) / 255.0) ** 2.2
    return SkinTextures(
        atlases=pack(skins),
        photo_tones=np.log(linear).mean(axis=(1, 2)).astype(np.float32),
        noise=_noise(),
    )


def read_skins(folder: str | Path, hand: Hand, size: int) -> np.ndarray:
    """Skin atlases (n, size, 1.5 size, 3) of all textures in a folder, sorted by name; sRGB bytes.

    Raises:
      ValueError: see `load_skin_textures`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"render.skin.folder {folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"render.skin.folder {folder}: holds no picture ({', '.join(_SUFFIXES)})")
    return np.stack([_read_skin(path, body_rectangles(hand), size) for path in paths])


def _read_skin(path, rectangles, size):
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    # Pillow reports broken files by any of these.
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ValueError(f"skin {path}: not a readable picture ({error})") from error
    if picture.width != picture.height:
        raise ValueError(
            f"skin {path}: expected a square body texture, got {picture.width} x {picture.height}"
        )
    parts = [
        picture.resize((width, size), Image.Resampling.BOX, box=tuple(rectangle * picture.width))
        for rectangle, width in zip(rectangles, (size, size // 2), strict=True)
    ]
    return np.concatenate([np.asarray(part) for part in parts], axis=1)


def _relief_of(photo):
    """Height channel of a photographic skin: where it is darker than around, it lies deeper."""
    grey = Image.fromarray(photo).convert("L")
    low = grey.resize((grey.width // 8, grey.height // 8), Image.Resampling.BOX)
    around = np.asarray(low.resize(grey.size, Image.Resampling.BICUBIC), np.float32)
    detail = np.asarray(grey, np.float32) - around
    return np.clip(127.5 + 2.5 * detail, 0, 255).astype(np.uint8)


def _noise():
    """White noise, cut into bands of frequencies: seamless, because its spectrum is periodic."""
    rng = np.random.default_rng(0)
    waves = np.fft.fftfreq(_NOISE_SIZE, 1 / _NOISE_SIZE)
    frequency = np.hypot(waves[:, None], waves[None, :])
    word = np.zeros((_NOISE_SIZE, _NOISE_SIZE), np.uint32)
    for number, (low, high) in enumerate(_NOISE_BANDS):
        spectrum = np.fft.fft2(rng.normal(size=(_NOISE_SIZE, _NOISE_SIZE)))
        spectrum *= (frequency >= low) & (frequency <= high)
        band = np.fft.ifft2(spectrum / np.maximum(frequency, 1) ** 1.4).real
        values = np.clip(127.5 + 45 * band / band.std(), 0, 255).astype(np.uint32)
        word |= values << np.uint32(8 * number)
    return word
