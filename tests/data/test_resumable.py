"""Builds from files that were interrupted: continued on the same files alone."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from i2uv_jax.data.builders import resumable
from i2uv_jax.data.builders.hic import HicPhotos
from i2uv_jax.data.builders.uv_map_pairs import UvMapPairs, UvMapPairsConfig
from tests import archives
from tests.data.test_files import mano_files  # noqa: F401, a fixture


class StopHereError(Exception):
    pass


def stop_after(num_samples):
    done = []

    def on_progress(count):
        done.append(count)
        if sum(done) >= num_samples:
            raise StopHereError

    return on_progress


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.array_record-*-of-*")}


def write_maps(folder, *names):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        np.savez(folder / f"{name}.npz", uv_map=np.full((8, 8, 3), index, np.float32))


def test_maps_go_on_and_end_as_if_never_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "SAMPLES_PER_SHARD", 2)
    write_maps(tmp_path / "maps", "a", "b", "c")

    def builder(name):
        config = UvMapPairsConfig(folder=tmp_path / "maps")
        return UvMapPairs(data_dir=tmp_path / name, config=config)

    builder("whole").download_and_prepare()
    with pytest.raises(StopHereError):
        builder("cut").download_and_prepare(on_progress=stop_after(3))
    assert len(shards(tmp_path / "cut")) == 1
    progress = []
    builder("cut").download_and_prepare(on_progress=progress.append)
    assert progress == [2, 1]
    assert shards(tmp_path / "cut") == shards(tmp_path / "whole")
    write_maps(tmp_path / "maps", "d")
    with pytest.raises(ValueError, match="its names are not those of the folder"):
        builder("cut").download_and_prepare()


def test_photos_of_another_archive_do_not_join_them(tmp_path, monkeypatch, mano_files):  # noqa: F811
    monkeypatch.setattr(resumable, "SAMPLES_PER_SHARD", 2)
    for name, count in (("six", 6), ("two", 2)):
        archives.write_hic(tmp_path / name, mano_files.mano_path, count)
    builder = HicPhotos(data_dir=tmp_path / "sets", config=mano_files)
    with pytest.raises(StopHereError):
        builder.build(tmp_path / "six", on_progress=stop_after(5))
    assert len(shards(tmp_path / "sets")) == 2
    other = HicPhotos(data_dir=tmp_path / "sets", config=mano_files)
    with pytest.raises(ValueError, match=r"'train': 6\} photos, these \{'train': 2\}"):
        other.build(tmp_path / "two")
    HicPhotos(data_dir=tmp_path / "sets", config=mano_files).build(tmp_path / "six")
    stored = tfds.builder_from_directory(builder.data_path)
    assert stored.info.splits["train"].shard_lengths == [2, 2, 2]
