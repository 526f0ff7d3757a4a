"""A stored set on disk: its samples by index, the hand they show, and how one becomes a crop.

Two kinds of set, told apart by what a sample holds: photos (`stored_photo.py`) and the renderer's
crops (`stored.py`). Both end as the same host sample, in NumPy alone, so that worker processes
never start an accelerator. No TensorFlow: tensorflow-datasets reads ArrayRecord without it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, UInt8
from PIL import Image

from i2uv_jax.data.stored import dequantise
from i2uv_jax.data.stored_hand import StoredHand, hand_of_set
from i2uv_jax.data.stored_photo import PosedPhoto, decode_photo
from i2uv_jax.imaging.crop import BOX_MARGIN, SquareCrop, extract

HostSample = dict[str, np.ndarray]
"""Of one crop: "image" and "hand_mask" in bytes, "vertices" and "keypoints" in metres, "focal" and
"principal" in crop coordinates; names and frames as in `types.Batch`."""


@dataclass(frozen=True, eq=False)
class StoredSet:
    """A set that was opened; make it with `open_set`."""

    folder: Path
    hand: StoredHand
    is_photos: bool
    splits: Mapping[str, int]
    """Samples by split."""
    num_bytes: int
    builder: tfds.core.DatasetBuilder

    def samples(self, split: str) -> Any:
        """A random-access source of a split's samples as they are stored; picklable."""
        return self.builder.as_data_source(split=split)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this set from another one, wherever it lies; for checkpoints."""
        return {
            "name": self.builder.name,
            "samples": dict(self.splits),
            "bytes": self.num_bytes,
            "atlas": self.hand.atlas.fingerprint,
        }


def open_set(folder: Path) -> StoredSet:
    """Opens the set that a folder holds.

    Raises:
      ValueError: one line: the folder is no whole set of pictures of hands.
    """
    if not (folder / "dataset_info.json").is_file():
        raise ValueError(
            f"{folder}: no stored set (no dataset_info.json); `i2uv data build` makes one and says "
            "where it is"
        )
    quiet_readers()
    try:
        builder = tfds.builder_from_directory(folder)
        hand = hand_of_set(builder.info.metadata or {})
        fields = set(builder.info.features)
    # tensorflow-datasets raises whatever its parsers raise.
    except Exception as error:
        raise ValueError(
            f"{folder}: not a stored set that can be read ({' '.join(str(error).split())})"
        ) from error
    if not {"image", "vertices", "keypoints"} <= fields:
        raise ValueError(f"{folder}: holds no pictures of hands with their meshes")
    return StoredSet(
        folder=folder,
        hand=hand,
        is_photos="focal_px" in fields,
        splits={name: split.num_examples for name, split in builder.info.splits.items()},
        num_bytes=int(builder.info.dataset_size),
        builder=builder,
    )


def quiet_readers() -> None:
    """tensorflow-datasets says in every process that OpenCV would decode faster than Pillow."""
    logging.getLogger("absl").setLevel(logging.ERROR)


class ToHostCrop(grain.transforms.Map):
    """A stored sample to a `HostSample` that shows somewhat more than the network's crop."""

    def __init__(self, *, is_photos: bool, sides: float, size: int) -> None:
        """Says how large crops are.

        Args:
          is_photos: what kind of set the samples are of.
          sides: the crop's side in sides of the network's, which is the hand's box and its usual
            margin for photos, and the stored picture for the renderer's crops.
          size: side of the crop in pixels.
        """
        self._decode = decode_photo if is_photos else _decode_crop
        self._is_photos, self._sides, self._size = is_photos, sides, size

    def map(self, sample: Mapping[str, Any]) -> HostSample:
        """Decodes and crops."""
        photo = self._decode(sample)
        if self._is_photos:
            return host_crop(photo, photo.hand_crop(self._sides * (1 + BOX_MARGIN)), self._size)
        side = photo.image.shape[1]
        crop = SquareCrop((side / 2, side / 2), side * self._sides)
        margin = max(0, round(side * (self._sides - 1) / 2) + 1)
        # Beyond a rendered picture its edge is repeated, as where such batches are varied.
        return host_crop(photo, crop, self._size, edge_px=margin)


def host_crop(photo: PosedPhoto, crop: SquareCrop, size: int, *, edge_px: int = 0) -> HostSample:
    """What is kept of a photo: a square of it, its camera and the hand.

    Args:
      edge_px: how far the picture's edge is repeated before what lies outside is plain.
    """
    image, mask = photo.image, photo.hand_mask
    centre = crop.centre_px
    if edge_px:
        margins = ((edge_px, edge_px), (edge_px, edge_px))
        image = np.pad(image, (*margins, (0, 0)), mode="edge")
        mask = np.pad(mask, margins, mode="edge")
        centre = (centre[0] + edge_px, centre[1] + edge_px)
    square = SquareCrop(centre, crop.side_px)
    principal = crop.to_crop(np.asarray(photo.principal_px, np.float64))
    return {
        "image": extract(np.ascontiguousarray(image), square, size),
        "hand_mask": _extract_mask(mask, square, size),
        "vertices": photo.vertices,
        "keypoints": photo.keypoints,
        "focal": np.float32(photo.focal_px / crop.side_px),
        "principal": principal.astype(np.float32),
    }


def _extract_mask(
    mask: UInt8[np.ndarray, "h w"], crop: SquareCrop, size: int
) -> UInt8[np.ndarray, "size size"]:
    """As `extract`, but 0 outside the picture and plainly bilinear, which is quicker."""
    extracted = Image.fromarray(np.ascontiguousarray(mask)).transform(
        (size, size), Image.Transform.EXTENT, crop.xyxy_px, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(extracted)


def _decode_crop(sample: Mapping[str, Any]) -> PosedPhoto:
    """A rendered crop as the photo that it is."""
    image = np.asarray(sample["image"])
    side = image.shape[1]
    principal: Float[np.ndarray, 2] = np.asarray(sample["principal"], np.float64) * side
    return PosedPhoto(
        image=image,
        hand_mask=np.asarray(sample["hand_mask"])[..., 0],
        vertices=dequantise(sample["vertices"], sample["vertices_low"], sample["vertices_step"]),
        keypoints=np.asarray(sample["keypoints"], np.float32),
        focal_px=float(sample["focal"]) * side,
        principal_px=principal,
    )
