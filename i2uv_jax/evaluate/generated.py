"""Generated pictures, whose hands are known exactly, as a `Benchmark`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.data.generator import to_bytes
from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.data.stored_photo import silhouette
from i2uv_jax.data.stored_set import StoredSet, ToHostCrop
from i2uv_jax.evaluate.answers import camera_matrix
from i2uv_jax.evaluate.depth_sensor import measure
from i2uv_jax.evaluate.sample import Benchmark, Sample, stacked
from i2uv_jax.evaluate.surfaces import Surface, compare, mean_comparison, uv_surface
from i2uv_jax.geometry.alignment import align
from i2uv_jax.geometry.camera import from_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.types import Batch, Camera

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
) -> Iterator[Sample]:
    """The pictures of a rendered batch (NumPy), numbered from `first`.

    Args:
      monk_tones: of the hands' skins, 1 to 10, where they are known.
      ages: of the hands' forms, MakeHuman's 0 to 1, where they are known.
    """
    images = to_bytes(batch.image)
    for index in range(len(images)):
        sample = _sample(
            {
                "image": images[index],
                "hand_mask": np.round(255 * batch.hand_mask[index]),
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
        yield replace(sample, monk_tone=tone, age=age)


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


def coarse_predictor(model: str, predictor: Predictor, batch_size: int) -> Predictor | None:
    """The model `model`, which `predictor` is, without its super-resolution; None if it has none.

    Raises:
      ValueError: the file cannot be read.
    """
    if predictor.config.sr is None:
        return None
    config, variables, metadata = load_model_file(find_model(model))
    coarse = replace(config, sr=None)
    return Predictor(coarse, variables, name=model, metadata=metadata, batch_size=batch_size)


def surface_table(
    predictors: Mapping[str, Predictor],
    samples: Sequence[Sample],
    faces: Int[np.ndarray, "f 3"],
    seed: int,
) -> dict[str, dict[str, float]]:
    """The depth sensor's and the predicted surfaces beside the true one, means over the samples.

    Args:
      predictors: by the name of their row.
      samples: with true vertices and the wrist's place.
      faces: of the true meshes.
      seed: of the sensor's noise.
    """
    truths = [Surface(sample.vertices, faces) for sample in samples]
    rng = np.random.default_rng(seed)
    surfaces = {"depth map": [Surface(measure(t.vertices, t.faces, rng)) for t in truths]}
    for name, predictor in predictors.items():
        surfaces[name] = _predicted_surfaces(predictor, samples)
    return {
        name: mean_comparison([compare(*pair) for pair in zip(found, truths, strict=True)])
        for name, found in surfaces.items()
    }


def _predicted_surfaces(predictor: Predictor, samples: Sequence[Sample]) -> list[Surface]:
    """Of all texels in the chart, moved as takes the predicted vertices nearest to the true ones:
    rotated and shifted, not scaled."""
    tables = build_tables(predictor.hand.atlas, predictor.config.uv_map_size)
    found = predictor(
        [sample.pixels for sample in samples],
        camera=np.stack([camera_matrix(sample) for sample in samples]),
    )
    size = np.array([len(sample.pixels) for sample in samples], np.float32)
    camera = Camera(
        focal=np.array([s.photo.focal_px for s in samples], np.float32) / size,
        principal=np.array([s.photo.principal_px for s in samples], np.float32) / size[:, None],
    )
    depth = np.array([sample.wrist[2] for sample in samples], np.float32)
    texels = from_crop_space(camera, found.uv_map.reshape(len(samples), -1, 3), depth)
    vertices = from_crop_space(camera, vertices_from_uv_map(tables, found.uv_map), depth)
    moved = align(vertices, stacked(samples, "vertices"), scale=False)(texels)
    maps = np.asarray(moved, np.float64).reshape(found.uv_map.shape)
    return [uv_surface(one, tables.texel_mask) for one in maps]
