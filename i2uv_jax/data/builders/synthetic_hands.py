"""`synthetic_hands`: rendered hands as a tensorflow-datasets set of ArrayRecord files.

Any tensorflow-datasets reads a finished set, with or without this package, and without TensorFlow:
`tfds.builder_from_directory(folder).as_data_source(split="train")`. With this package,
`data.stored.decode_sample` makes training's `Batch` of a sample.

Each shard is a function of the settings and its number alone.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds

import i2uv_jax
from i2uv_jax.config import RenderConfig
from i2uv_jax.config_io import changed_fields, from_dict, to_dict
from i2uv_jax.data.builders.resumable import ResumableBuilder, Shard
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.data.stored import IMAGE_FORMATS, encode_sample
from i2uv_jax.data.streams import Stream, stream_key
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.eight_bit import to_bytes

SPLIT = "train"

_DESCRIPTION = """Rendered pictures of right hands with their exact geometry in the camera's frame
(x right, y down, z forward, metres); lengths in the picture count its side as 1. A vertex is
`vertices_low + vertices_step * vertices`. `focal` and `principal` are the pinhole camera's."""


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """All that decides a set's bytes."""

    render: RenderConfig
    seed: int = 0
    count: int = 10_000
    """Samples in all."""
    num_shards: int = 10
    batch_size: int = 16
    """Pictures rendered at a time. (What a key gives depends on it.)"""
    image_format: str = "jpeg"
    """One of `data.stored.IMAGE_FORMATS`."""
    quality: int = 95
    """JPEG quality; lower for pictures that would take too many bytes."""
    package_version: str = i2uv_jax.__version__
    atlas: str = ""
    """Fingerprint of the hand's atlas; filled in by the builder."""

    def __post_init__(self) -> None:
        for name in ("count", "num_shards", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.num_shards > self.count:
            raise ValueError(
                f"num_shards: expected at most the {self.count} samples, got {self.num_shards}"
            )
        if self.image_format not in IMAGE_FORMATS:
            raise ValueError(
                f"image_format: expected one of {IMAGE_FORMATS}, got {self.image_format!r}"
            )
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality: expected 1 to 100, got {self.quality}")

    @property
    def shard_lengths(self) -> list[int]:
        """Samples in each shard: as even as can be."""
        ends = [self.count * (i + 1) // self.num_shards for i in range(self.num_shards)]
        return np.diff([0, *ends]).tolist()


@dataclasses.dataclass(eq=False, kw_only=True)
class SyntheticHandsConfig(tfds.core.BuilderConfig):
    """A set by its settings; named after size and seed."""

    settings: BuildSettings
    name: str = ""
    """Filled in."""

    def __post_init__(self) -> None:
        size = self.settings.render.image_size
        self.name = f"size{size}_seed{self.settings.seed}"
        self.description = f"{size} x {size} pixels, seed {self.settings.seed}"


class SyntheticHands(ResumableBuilder):
    """Builds, and once built reads, a set of rendered hands."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: Mapping[str, str] = {
        "1.0.0": "Pictures, quantised vertices, camera, keypoints.",
        "1.1.0": "Other hands than those that training renders with the same seed.",
    }

    # There are no BUILDER_CONFIGS: tensorflow-datasets would refuse other settings of their names.
    def __init__(self, *, config: SyntheticHandsConfig, **arguments: Any) -> None:
        self._hand = load_hand()
        super().__init__(config=config, **arguments)

    @cached_property
    def settings(self) -> BuildSettings:
        """The settings, complete."""
        fingerprint = self._hand.atlas.fingerprint
        return dataclasses.replace(self.builder_config.settings, atlas=fingerprint)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.settings.render.image_size
        image_format = self.builder_config.settings.image_format
        vector = tfds.features.Tensor(shape=(3,), dtype=np.float32)
        features = {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format=image_format),
            "hand_mask": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
            "vertices": tfds.features.Tensor(
                # As bytes: Example protos know no integers below 64 bits.
                shape=(self._hand.num_vertices, 3),
                dtype=np.uint16,
                encoding="bytes",
            ),
            "vertices_low": vector,
            "vertices_step": vector,
            "keypoints": tfds.features.Tensor(shape=(21, 3), dtype=np.float32),
            "keypoint_visible": tfds.features.Tensor(shape=(21,), dtype=np.bool_),
            "focal": tfds.features.Scalar(dtype=np.float32),
            "principal": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(settings=to_dict(self.settings)),
        )

    def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, list[Shard]]:
        del dl_manager  # nothing is downloaded
        return {SPLIT: [partial(self._samples, i) for i in range(self.settings.num_shards)]}

    @cached_property
    def _generator(self) -> HandGenerator:
        """Compiled only if a shard is missing."""
        return HandGenerator(self.settings.render, self._hand, self.settings.batch_size)

    def _samples(self, shard: int) -> Iterator[tuple[str, dict]]:
        settings = self.settings
        key = stream_key(jax.random.key(settings.seed), Stream.STORED_SET)
        key = jax.random.fold_in(key, shard)
        encode = partial(
            encode_sample, image_format=settings.image_format, quality=settings.quality
        )
        place = 0
        # Pillow encodes outside Python's lock, while the device renders the next batch.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in self._generator.batches(key, settings.shard_lengths[shard]):
                images = to_bytes(batch.image)
                rows = [jax.tree.map(lambda leaf, i=i: leaf[i], batch) for i in range(len(images))]
                for sample in pool.map(encode, rows, images):
                    yield f"{shard:05d}_{place:06d}", sample
                    place += 1

    def _expected_length(self, split: str, index: int) -> int:
        return self.settings.shard_lengths[index]

    def _check_same(self, noted: Mapping[str, Any]) -> None:
        before = from_dict(BuildSettings, noted["settings"])
        for name, (old, new) in changed_fields(before, self.settings).items():
            raise ValueError(f"its {name} is {old}, not {new}")
