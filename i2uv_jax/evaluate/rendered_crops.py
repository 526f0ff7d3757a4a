"""Rendered hands as a network takes them, every other one with its keypoints told."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float, UInt8

from i2uv_jax.config import HandNetConfig, RenderConfig
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.inference.export import IMAGE, KEYPOINTS

_BATCH_SIZE = 8
_UV_MAP_SIZE = 16
"""Nobody looks at the maps."""


@dataclass(frozen=True)
class RenderedCrops:
    """Right hands, and what is true of them."""

    images: UInt8[np.ndarray, "n s s 3"]
    """sRGB."""
    told_keypoints: Float[np.ndarray, "n 21 3"]
    """The true ones, x, y and z as in a texel (crop sides); NaN where none are told."""
    keypoints_mm: Float[np.ndarray, "n 21 3"]
    """The true ones in the camera frame, of all hands."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice) -> "RenderedCrops":
        return RenderedCrops(
            self.images[which], self.told_keypoints[which], self.keypoints_mm[which]
        )

    @property
    def is_told(self) -> Bool[np.ndarray, "n"]:
        """Whose keypoints are told."""
        return np.isfinite(self.told_keypoints).any(axis=(1, 2))

    @property
    def network_inputs(self) -> list[dict[str, np.ndarray]]:
        """Of each hand, by the names that exported models use."""
        return [
            {IMAGE: image, KEYPOINTS: told}
            for image, told in zip(self.images, self.told_keypoints, strict=True)
        ]


def rendered_crops(config: HandNetConfig, count: int, seed: int) -> RenderedCrops:
    """Hands as the training pictures show them, in the size that a network takes.

    To a network that takes keypoints those of every other hand are told, to others none.

    Args:
      count: at least 1.
      seed: of the hands.
    """
    render = RenderConfig(image_size=config.crop_size, uv_map_size=_UV_MAP_SIZE)
    generator = HandGenerator(render, load_hand(), min(count, _BATCH_SIZE))
    images, keypoints, keypoints_m = [], [], []
    for batch in generator.batches(jax.random.key(seed), count):
        images.append(to_bytes(batch.image))
        keypoints.append(keypoints_in_crop(batch.camera, batch.keypoints))
        keypoints_m.append(batch.keypoints)
    told = np.concatenate(keypoints)
    told[slice(1, None, 2) if config.takes_keypoints else slice(None)] = np.nan
    return RenderedCrops(np.concatenate(images), told, 1000 * np.concatenate(keypoints_m))
