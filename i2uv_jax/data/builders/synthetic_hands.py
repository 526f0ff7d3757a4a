"""`synthetic_hands`: rendered hands as a tensorflow-datasets set of ArrayRecord files.

Any tensorflow-datasets reads a finished set, with or without this package, and without TensorFlow:
`tfds.builder_from_directory(folder).as_data_source(split="train")`. With this package,
`data.stored.decode_sample` makes training's `Batch` of a sample.

Building renders one shard after the other, each a function of the settings and its number alone. A
shard gets its name when it is whole and counted, and the set its `dataset_info.json`, without which
no reader takes the folder for a set, when all shards are. What an earlier build left is kept.
"""

import dataclasses
import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module

import i2uv_jax
from i2uv_jax.config import RenderConfig
from i2uv_jax.config_io import changed_fields, from_dict, to_dict
from i2uv_jax.data.generator import HandGenerator, to_bytes
from i2uv_jax.data.stored import IMAGE_FORMATS, encode_sample
from i2uv_jax.hand.asset import load_hand

SPLIT = "train"

SAMPLES_PER_SHARD = 1024
"""Of 256 x 256 pixels: about 35 MB a shard, and minutes of rendering on a CPU."""

_PARTIAL_SUFFIX = ".partial"

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


class SyntheticHands(tfds.core.ShardBasedBuilder):
    """Builds, and once built reads, a set of rendered hands."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: Mapping[str, str] = {"1.0.0": "Pictures, quantised vertices, camera, keypoints."}

    # There are no BUILDER_CONFIGS: tensorflow-datasets would refuse other settings of their names.
    def __init__(
        self,
        *,
        config: SyntheticHandsConfig,
        file_format: str = "array_record",
        **arguments: Any,
    ) -> None:
        self._hand = load_hand()
        super().__init__(config=config, file_format=file_format, **arguments)

    @cached_property
    def settings(self) -> BuildSettings:
        """The settings, complete."""
        fingerprint = self._hand.atlas.fingerprint
        return dataclasses.replace(self.builder_config.settings, atlas=fingerprint)

    def download_and_prepare(
        self, *, on_progress: Callable[[int], None] = lambda num_samples: None, **_: Any
    ) -> None:
        """Renders what is missing of the set; nothing if it is complete.

        Args:
          on_progress: called with the number of samples that are done anew, at least once a batch,
            and with those found done at the start. What it raises stops the build.
          _: tensorflow-datasets' arguments about downloads, which have no meaning here.

        Raises:
          ValueError: the folder holds shards of other settings or damaged ones, or a folder of
            textures or pictures that the settings name cannot be used.
          OSError: the folder cannot be written to, or the disk is full.
        """
        folder = Path(self.data_path)
        folder.mkdir(parents=True, exist_ok=True)
        self._check_settings(folder)
        shards = self._shard_iterators_per_split(None)[SPLIT]
        paths = [
            Path(self._template.sharded_filepath(shard_index=i, num_shards=len(shards)))
            for i in range(len(shards))
        ]
        lengths = self.settings.shard_lengths
        on_progress(sum(n for path, n in zip(paths, lengths, strict=True) if path.exists()))
        for path, shard in zip(paths, shards, strict=True):
            if not path.exists():
                _write_shard(path, self._serialized(shard(), on_progress))
        for path, length in zip(paths, lengths, strict=True):
            if (found := _num_records(path)) != length:
                raise ValueError(
                    f"{path}: a damaged shard of {found} samples instead of {length}; "
                    "remove it and build again"
                )
        self._finish(folder, paths)

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

    def _shard_iterators_per_split(
        self, dl_manager: Any
    ) -> dict[str, list[Callable[[], Iterator[tuple[str, dict]]]]]:
        """One function a shard that yields its samples with their keys."""
        del dl_manager  # nothing is downloaded
        return {SPLIT: [partial(self._samples, i) for i in range(self.settings.num_shards)]}

    @cached_property
    def _generator(self) -> HandGenerator:
        """Compiled only if a shard is missing."""
        return HandGenerator(self.settings.render, self._hand, self.settings.batch_size)

    @cached_property
    def _template(self) -> tfds.core.ShardedFileTemplate:
        return tfds.core.ShardedFileTemplate(
            data_dir=self.data_path,
            dataset_name=self.name,
            split=SPLIT,
            filetype_suffix=self.info.file_format.file_suffix,
        )

    def _samples(self, shard: int) -> Iterator[tuple[str, dict]]:
        settings = self.settings
        key = jax.random.fold_in(jax.random.key(settings.seed), shard)
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

    def _serialized(self, samples, on_progress) -> Iterator[bytes]:
        for _, sample in samples:
            yield self.info.features.serialize_example(sample)
            on_progress(1)

    def _check_settings(self, folder: Path) -> None:
        """Compares with what an earlier build noted down, or notes it down."""
        noted = tfds.core.MetadataDict()
        try:
            noted.load_metadata(folder)
            before = from_dict(BuildSettings, noted["settings"])
        except FileNotFoundError:
            tfds.core.MetadataDict(settings=to_dict(self.settings)).save_metadata(folder)
            return
        except (KeyError, ValueError) as error:  # half a file, or settings of another version
            raise ValueError(
                f"{folder}: holds a set that this version cannot continue ({error}); "
                "remove it or choose another folder"
            ) from error
        changed = changed_fields(before, self.settings)
        if changed:
            name, (old, new) = next(iter(changed.items()))
            raise ValueError(
                f"{folder}: holds shards with other settings ({name}: {old}, now {new}); "
                "remove it or choose another folder"
            )

    def _finish(self, folder: Path, paths: Sequence[Path]) -> None:
        """Writes what makes a folder of shards a set; `dataset_info.json` last, and whole."""
        split = tfds.core.SplitInfo(
            name=SPLIT,
            shard_lengths=self.settings.shard_lengths,
            num_bytes=sum(path.stat().st_size for path in paths),
            filename_template=self._template,
        )
        self.info.set_splits(tfds.core.SplitDict([split]))
        with tempfile.TemporaryDirectory(dir=folder, suffix=_PARTIAL_SUFFIX) as temporary:
            self.info.write_to_directory(temporary)
            files = sorted(Path(temporary).iterdir(), key=lambda p: p.name == "dataset_info.json")
            for path in files:
                path.replace(folder / path.name)


def _write_shard(path: Path, records: Iterator[bytes]) -> None:
    """Writes a shard that is either whole under its name or not there at all."""
    partial_path = path.with_name(path.name + _PARTIAL_SUFFIX)
    try:
        count = 0
        # Groups of one record: readers pick samples in any order.
        writer = array_record_module.ArrayRecordWriter(str(partial_path), "group_size:1")
        try:
            for record in records:
                writer.write(record)
                count += 1
        finally:
            writer.close()
        if (found := _num_records(partial_path)) != count:
            raise OSError(errno.EIO, f"{found} of {count} samples arrived", str(path))
        partial_path.replace(path)
    except RuntimeError as error:
        # The writer's only kind of error; its text is the system's.
        full = os.strerror(errno.ENOSPC)
        if full in str(error):
            raise OSError(errno.ENOSPC, full, str(path)) from error
        raise
    finally:
        partial_path.unlink(missing_ok=True)


def _num_records(path: Path) -> int:
    """Samples in a shard; 0 for a file that is none."""
    reader = array_record_module.ArrayRecordReader(str(path))
    try:
        num_records = reader.num_records()
        reader.close()  # what is wrong with the file is raised here
    except RuntimeError:
        return 0
    return num_records
