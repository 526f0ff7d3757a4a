"""One stored sample: what of a picture and its geometry is kept, and how it comes back.

A sample holds the picture as JPEG or PNG; the vertices in 16 bits an axis over their bounding box;
and the camera, the keypoints and their visibility as they are; the hand's mask as PNG. The UV map
is not stored: it follows from vertices, camera and the hand's atlas, at any size. Nothing here
knows a file format; samples are dictionaries of NumPy arrays and bytes.

Exactness: a hand's box is at most 0.3 m long, so that a vertex moves by at most 0.3 m / 65535 / 2 =
2.3 micrometres along each axis; a UV map by a few millionths of the crop's side. Masks are exact to
half of 1/255. Camera, keypoints and visibility are exact.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from PIL import Image

from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.uv_map import UvTables, uv_map_from_vertices
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.types import Batch, Camera

IMAGE_FORMATS = ("jpeg", "png")

MAX_SAMPLE_BYTES = 40_000
"""Samples with a JPEG are kept below this: a picture that would take more, such as one of heavy
noise, gets a lower quality."""

_LEVELS = 65535
_QUALITY_STEP = 5
_MIN_QUALITY = 5
_RECORD_BYTES = 600
"""Room for a record's own structure: names and lengths of its fields."""


def encode_sample(
    sample: Batch, image: UInt8[np.ndarray, "h w 3"], *, image_format: str, quality: int
) -> dict[str, Any]:
    """What is stored of one sample.

    Args:
      sample: leaves without the batch axis, NumPy; its `image` and `uv_map` are not looked at.
      image: the picture.
      image_format: one of `IMAGE_FORMATS`.
      quality: JPEG quality, lowered in steps where the sample would pass `MAX_SAMPLE_BYTES`.

    Raises:
      ValueError: the format is not known.
    """
    low, step, steps = quantise(sample.vertices)
    geometry = {
        "hand_mask": _png(to_bytes(np.asarray(sample.hand_mask))),
        "vertices": steps,
        "vertices_low": low,
        "vertices_step": step,
        "keypoints": np.asarray(sample.keypoints, np.float32),
        "keypoint_visible": np.asarray(sample.keypoint_visible, np.bool_),
        "focal": np.float32(sample.camera.focal),
        "principal": np.asarray(sample.camera.principal, np.float32),
    }
    if image_format == "png":
        return {"image": _png(image), **geometry}
    if image_format != "jpeg":
        raise ValueError(f"image_format: expected one of {IMAGE_FORMATS}, got {image_format!r}")
    sizes = (
        v.nbytes if isinstance(v, np.ndarray | np.generic) else len(v) for v in geometry.values()
    )
    room = MAX_SAMPLE_BYTES - _RECORD_BYTES - sum(sizes)
    encoded = _jpeg(image, quality)
    while len(encoded) > room and quality - _QUALITY_STEP >= _MIN_QUALITY:
        quality -= _QUALITY_STEP
        encoded = _jpeg(image, quality)
    return {"image": encoded, **geometry}


def decode_sample(sample: Mapping[str, Any], tables: UvTables) -> Batch:
    """What training takes, of one sample as a data source gives it.

    For a batch, stack the leaves: `jax.tree.map(lambda *leaves: np.stack(leaves), *samples)`.

    Args:
      sample: picture and mask decoded to (h, w, 3) and (h, w, 1) bytes; all else as it was stored.
      tables: of the atlas of the hand that was stored, at the size of the UV map that is wanted.

    Returns:
      Leaves without the batch axis.

    Raises:
      ValueError: the sample's vertices are not those of the tables' atlas.
    """
    vertices = dequantise(sample["vertices"], sample["vertices_low"], sample["vertices_step"])
    if len(vertices) != len(tables.vertex_texels):
        raise ValueError(
            f"the sample shows a hand of {len(vertices)} vertices, "
            f"the atlas one of {len(tables.vertex_texels)}"
        )
    camera = Camera(
        focal=np.asarray(sample["focal"], np.float32),
        principal=np.asarray(sample["principal"], np.float32),
    )
    keypoints = np.asarray(sample["keypoints"], np.float32)
    vertices_crop = to_crop_space(camera, vertices, keypoints[WRIST, 2])
    return Batch(
        image=np.asarray(sample["image"], np.float32) / 255,
        uv_map=np.asarray(uv_map_from_vertices(tables, vertices_crop)),
        vertices=vertices,
        keypoints=keypoints,
        hand_mask=np.asarray(sample["hand_mask"], np.float32)[..., 0] / 255,
        keypoint_visible=np.asarray(sample["keypoint_visible"], np.bool_),
        camera=camera,
    )


def quantise(
    points: Float[np.ndarray, "v 3"],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"], UInt16[np.ndarray, "v 3"]]:
    """Lower corner, step and whole steps of points over their bounding box, axis by axis."""
    points = np.asarray(points, np.float64)
    # Rounded to float32 first, so that what is stored is what the steps were counted with.
    low = points.min(axis=0).astype(np.float32)
    step = ((points.max(axis=0) - low) / _LEVELS).astype(np.float32)
    steps = np.round((points - low) / np.maximum(step, np.finfo(np.float32).tiny))
    return low, step, np.clip(steps, 0, _LEVELS).astype(np.uint16)


def dequantise(
    steps: UInt16[np.ndarray, "v 3"],
    low: Float[np.ndarray, "3"],
    step: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "v 3"]:
    """The inverse of `quantise`, to half a step."""
    points = np.asarray(low, np.float64) + np.asarray(steps) * np.asarray(step, np.float64)
    return points.astype(np.float32)


def _jpeg(image, quality) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
