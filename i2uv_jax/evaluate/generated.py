"""Generated pictures, whose hands are known exactly, as a `Benchmark`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.data.stored_photo import silhouette
from i2uv_jax.data.stored_set import StoredSet, ToHostCrop
from i2uv_jax.evaluate.depth_sensor import measure
from i2uv_jax.evaluate.sample import Benchmark, Sample
from i2uv_jax.evaluate.surfaces import Surface
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.types import Batch

GENERATED = "Generated pictures"
"""What reports call the benchmark."""


def generated_benchmark(samples: list[Sample]) -> Benchmark:
    """Scored with Procrustes alignment as it is meant: without reflections."""
    return Benchmark("synthetic", GENERATED, samples, reflect=False)


def samples_of_batch(
    batch: Batch,
    faces: Int[np.ndarray, "f 3"],
    first: int,
    monk_tones: Int[np.ndarray, "b"] | None = None,
    ages: Float[np.ndarray, "b"] | None = None,
    sequence: str | None = None,
) -> Iterator[Sample]:
    """The pictures of a rendered batch (NumPy), numbered from `first`.

    Args:
      monk_tones: of the hands' skins, 1 to 10, where they are known.
      ages: of the hands' forms, MakeHuman's 0 to 1, where they are known.
      sequence: name of the sequence whose frames, in their order, the pictures are.
    """
    images = to_bytes(batch.image)
    for index in range(len(images)):
        sample = _sample(
            {
                "image": images[index],
                "hand_mask": to_bytes(batch.hand_mask[index]),
                "vertices": batch.vertices[index],
                "keypoints": batch.keypoints[index],
                "focal": batch.camera.focal[index],
                "principal": batch.camera.principal[index],
            },
            faces,
            f"{first + index:06d}",
        )
        tone = None if monk_tones is None else int(monk_tones[index])
        age = None if ages is None else float(ages[index])
        frame_of = None if sequence is None else (sequence, index)
        yield replace(sample, monk_tone=tone, age=age, frame_of=frame_of)


def samples_of_set(stored: StoredSet, split: str, count: int | None, size: int) -> Iterator[Sample]:
    """The first pictures of a stored split, cropped as a model sees them.

    Args:
      count: None takes all.
      size: side of the pictures in pixels.

    Raises:
      ValueError: the set has no such split.
    """
    if split not in stored.splits:
        raise ValueError(
            f"{stored.folder}: has no split {split!r}, but {', '.join(sorted(stored.splits))}"
        )
    source = stored.samples(split)
    crop = ToHostCrop(is_photos=stored.is_photos, sides=1.0, size=size)
    for index in range(min(len(source), count or len(source))):
        yield _sample(crop.map(source[index]), stored.hand.atlas.faces, f"{split}/{index:06d}")


def _sample(host: Mapping[str, np.ndarray], faces: np.ndarray, name: str) -> Sample:
    size = len(host["image"])
    focal_px = float(host["focal"]) * size
    principal_px = tuple(float(value) * size for value in host["principal"])
    vertices = np.asarray(host["vertices"], np.float32)
    keypoints = np.asarray(host["keypoints"], np.float32)
    place = focal_px * vertices[:, :2] / vertices[:, 2:] + principal_px
    covered = silhouette(place, faces, (size, size)).sum()
    seen = np.asarray(host["hand_mask"], np.float64).sum() / 255
    return Sample(
        name=name,
        photo=HandPhoto(name, Path(name), focal_px, principal_px),
        keypoints=keypoints,
        vertices=vertices,
        wrist=keypoints[WRIST],
        pixels=np.ascontiguousarray(host["image"]),
        visible_share=float(min(seen / covered, 1.0)) if covered else None,
        fill=float(np.ptp(place, axis=0).max()) / size,
    )


def sensed_surfaces(truths: Sequence[Surface], seed: int) -> list[Surface]:
    """What the depth sensor measures of hands before it.

    Args:
      seed: of its noise.
    """
    rng = np.random.default_rng(seed)
    return [Surface(measure(truth.vertices, truth.faces, rng)) for truth in truths]
