"""One stored photo of a hand: whole, as its owners ship it, with the mesh in its camera's frame.

Unlike `stored.py`, which keeps crops, a photo keeps its file's bytes; the crop is made as it is
read, so that every run can choose its own. The mask is the mesh's silhouette (which stays within
the hand: no forearm), less what the owners' own mask leaves out.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw

from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.data.stored import dequantise, quantise
from i2uv_jax.imaging.crop import SquareCrop

_MASK_THRESHOLD = 127


@dataclass(frozen=True)
class PosedPhoto:
    """Pixels and geometry of a right hand. Metres; x right, y down, z away from the camera."""

    image: UInt8[np.ndarray, "h w 3"]
    hand_mask: UInt8[np.ndarray, "h w"]
    """255 where the hand is seen."""
    vertices: Float[np.ndarray, "v 3"]
    keypoints: Float[np.ndarray, "21 3"]
    focal_px: float
    principal_px: Float[np.ndarray, "2"]
    """From the picture's top left corner."""

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Pixel coordinates, from the picture's corner."""
        return self.focal_px * points[:, :2] / points[:, 2:] + self.principal_px

    def hand_crop(self, sides: float) -> SquareCrop:
        """The square around the mesh's bounding box, of so many times its longer side."""
        place = self.project(self.vertices)
        low, high = place.min(axis=0), place.max(axis=0)
        centre = (low + high) / 2
        return SquareCrop((float(centre[0]), float(centre[1])), float(sides * (high - low).max()))


def encode_photo(
    photo: HandPhoto,
    vertices: Float[np.ndarray, "v 3"],
    keypoints: Float[np.ndarray, "21 3"],
    faces: Int[np.ndarray, "f 3"],
) -> dict[str, Any]:
    """What is stored of a photo.

    Args:
      photo: its file, camera and side.
      vertices: of the hand as it is in the picture, camera frame, metres; `keypoints` likewise.
      faces: the mesh's triangles.

    Raises:
      ValueError: the picture or its mask cannot be read, or the hand is not before the camera.
    """
    if not (vertices[:, 2] > 0).all():
        raise ValueError(f"{photo.image_path}: its hand is not before the camera")
    try:
        content = photo.image_path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # a picture that is cut off is found here, not in the middle of a run
            size = image.size
        seen = np.ones(size[::-1], bool)
        if photo.mask_path is not None:
            with Image.open(photo.mask_path) as mask:
                seen = np.asarray(mask.convert("L")) > _MASK_THRESHOLD
    except (OSError, SyntaxError) as error:  # Pillow calls broken PNG files a syntax error
        raise ValueError(f"{photo.image_path}: cannot be read with its mask ({error})") from error
    place = photo.focal_px * vertices[:, :2] / vertices[:, 2:] + photo.principal_px
    covered = silhouette(place, faces, size)
    if seen.shape != covered.shape:
        raise ValueError(f"{photo.mask_path}: has another size than {photo.image_path}")
    buffer = io.BytesIO()
    Image.fromarray(np.where(covered & seen, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    low, step, steps = quantise(vertices)
    return {
        "image": content,
        "hand_mask": buffer.getvalue(),
        "vertices": steps,
        "vertices_low": low,
        "vertices_step": step,
        "keypoints": np.asarray(keypoints, np.float32),
        "focal_px": np.float32(photo.focal_px),
        "principal_px": np.asarray(photo.principal_px, np.float32),
        "is_left": bool(photo.is_left),
        "name": photo.name,
    }


def decode_photo(sample: Mapping[str, Any]) -> PosedPhoto:
    """A photo as a data source gives it: picture and mask decoded, all else as it was stored.

    A left hand comes mirrored, picture and all.
    """
    vertices = dequantise(sample["vertices"], sample["vertices_low"], sample["vertices_step"])
    keypoints = np.asarray(sample["keypoints"], np.float32)
    image, mask = np.asarray(sample["image"]), np.asarray(sample["hand_mask"])[..., 0]
    principal = np.asarray(sample["principal_px"], np.float64)
    if sample["is_left"]:
        mirror = np.array([-1, 1, 1], np.float32)
        vertices, keypoints = vertices * mirror, keypoints * mirror
        principal = np.array([image.shape[1] - principal[0], principal[1]])
        image, mask = image[:, ::-1], mask[:, ::-1]
    return PosedPhoto(image, mask, vertices, keypoints, float(sample["focal_px"]), principal)


def silhouette(
    place_px: Float[np.ndarray, "v 2"], faces: Int[np.ndarray, "f 3"], size: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    """Pixels of a (width, height) picture that a mesh's projection covers."""
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    # Pillow's polygons run through the centres of pixels, which stand at halves in our coordinates.
    for corners in (np.asarray(place_px) - 0.5)[faces]:
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=255)
    return np.asarray(image) > 0
