"""Building a set shard by shard, so that an interrupted build goes on where it was.

A shard gets its name when it is whole and counted, and the set its `dataset_info.json`, without
which no reader takes the folder for a set, when all shards are. What an earlier build left is kept,
if what it noted down says that it stored the same: in `metadata.json`, and of the files it was made
of in `sources.json`. If not, nothing is built, and it stays as it is.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tensorflow_datasets as tfds
from array_record.python import array_record_module

from i2uv_jax.data.builders.set_sources import SOURCES, check_sources, described, note_sources

SAMPLES_PER_SHARD = 1024

Shard = Callable[[], Iterator[tuple[str, dict]]]
"""Yields a shard's samples with their keys; the same ones whenever it is called."""

_PARTIAL_SUFFIX = ".partial"
_DATASET_INFO = "dataset_info.json"


def count_shards(num_samples: int) -> int:
    """How many shards so many samples take."""
    return -(-num_samples // SAMPLES_PER_SHARD)


class ResumableBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Base of the builders; a subclass says what a set's shards are and what it is made of.

    `_shard_iterators_per_split(download_config)` gives the `Shard`s of each split, and
    `info.metadata` decides their content together with the files in `_sources`.
    """

    _sources: Mapping[str, Path] = MappingProxyType({})
    """Files by names that stay the same wherever they lie; complete once the shards are listed."""

    def __init__(self, *, file_format: str = "array_record", **arguments: Any) -> None:
        # tensorflow-datasets' default format needs TensorFlow.
        super().__init__(file_format=file_format, **arguments)

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        on_progress: Callable[[int], None] = lambda num_samples: None,
        **_: Any,
    ) -> None:
        """Stores what is missing of the set; nothing at all if it is complete.

        Args:
          download_config: its `manual_dir` is where unpacked archives lie.
          on_progress: called with the number of samples that are done anew, and with those found
            done at the start. What it raises stops the build.
          _: tensorflow-datasets' arguments about downloads, which have no meaning here.

        Raises:
          ValueError: what the set is made of is missing or wrong, or the folder holds damaged
            shards or those of something else, which are left as they are.
          OSError: the folder cannot be written to, or the disk is full.
        """
        folder = Path(self.data_path)
        shards = self._shard_iterators_per_split(download_config)
        descriptions = described(self._sources)
        folder.mkdir(parents=True, exist_ok=True)
        places = {
            split: [
                Path(self._template(split).sharded_filepath(shard_index=i, num_shards=len(shards_)))
                for i in range(len(shards_))
            ]
            for split, shards_ in shards.items()
        }
        done = [path for paths in places.values() for path in paths if path.exists()]
        num_shards = sum(map(len, places.values()))
        is_complete = (folder / _DATASET_INFO).exists() and len(done) == num_shards
        # A finished set of which somebody removed the shards still says what they were.
        if self._has_shards(folder) or (folder / _DATASET_INFO).exists():
            self._check_notes(folder, descriptions, is_complete=is_complete)
        else:
            if descriptions:
                note_sources(folder, descriptions)
            self.info.metadata.save_metadata(folder)
        on_progress(sum(map(_num_records, done)))
        for split, paths in places.items():
            for path, shard in zip(paths, shards[split], strict=True):
                if not path.exists():
                    _write_shard(path, self._serialized(shard(), on_progress))
        lengths = {
            split: [self._length(split, index, path) for index, path in enumerate(paths)]
            for split, paths in places.items()
        }
        if not is_complete:
            self._finish(folder, places, lengths)

    def _expected_length(self, split: str, index: int) -> int | None:
        """How many samples a shard has to have, where that is known without making them."""
        return None

    def _check_same(self, noted: Mapping[str, Any]) -> None:
        """Raises ValueError if what an earlier build noted down is not what this one stores.

        Args:
          noted: its `info.metadata`.
        """
        raise NotImplementedError

    def _template(self, split: str) -> tfds.core.ShardedFileTemplate:
        return tfds.core.ShardedFileTemplate(
            data_dir=self.data_path,
            dataset_name=self.name,
            split=split,
            filetype_suffix=self.info.file_format.file_suffix,
        )

    def _serialized(
        self, samples: Iterator[tuple[str, dict]], on_progress: Callable[[int], None]
    ) -> Iterator[bytes]:
        for _, sample in samples:
            yield self.info.features.serialize_example(sample)
            on_progress(1)

    def _length(self, split: str, index: int, path: Path) -> int:
        found, expected = _num_records(path), self._expected_length(split, index)
        if found == 0 or expected not in (None, found):
            instead = "" if expected is None else f" instead of {expected}"
            raise ValueError(
                f"{path}: a damaged shard of {found} samples{instead}; remove it and build again"
            )
        return found

    def _has_shards(self, folder: Path) -> bool:
        """Whether an earlier build stored anything; if not, what stopped it may be mended since."""
        found = folder.glob(f"{self.name}-*")
        return any(path.suffix != _PARTIAL_SUFFIX for path in found)

    def _check_notes(
        self, folder: Path, descriptions: Mapping[str, str], *, is_complete: bool
    ) -> None:
        """Compares with what an earlier build noted down."""
        noted = tfds.core.MetadataDict()
        try:
            noted.load_metadata(folder)
            self._check_same(noted)
            if descriptions:
                check_sources(folder, self._sources, descriptions)
        except KeyError as error:
            raise self._cannot_continue(f"no {error} noted down") from error
        except FileNotFoundError as error:
            missing = Path(error.filename).name
            # Nothing is added to a complete set, so one from before files were noted may stay.
            if not (is_complete and missing == SOURCES):
                raise self._cannot_continue(
                    f"what it is made of is unknown: no {missing}"
                ) from error
        except ValueError as error:
            raise self._cannot_continue(error) from error

    def _cannot_continue(self, why: object) -> ValueError:
        return ValueError(
            f"{self.data_path}: holds a set that cannot be continued ({why}); remove it or choose "
            "another folder"
        )

    def _finish(
        self,
        folder: Path,
        places: Mapping[str, list[Path]],
        lengths: Mapping[str, list[int]],
    ) -> None:
        """Writes what makes a folder of shards a set; `dataset_info.json` last, and whole."""
        splits = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=lengths[split],
                num_bytes=sum(path.stat().st_size for path in paths),
                filename_template=self._template(split),
            )
            for split, paths in places.items()
        ]
        self.info.set_splits(tfds.core.SplitDict(splits))
        with tempfile.TemporaryDirectory(dir=folder, suffix=_PARTIAL_SUFFIX) as temporary:
            self.info.write_to_directory(temporary)
            files = sorted(Path(temporary).iterdir(), key=lambda p: p.name == _DATASET_INFO)
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
