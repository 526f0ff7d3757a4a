"""Builds from files that were interrupted or are done: continued on the same files alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds

from i2uv_jax.data.builders import resumable
from i2uv_jax.data.builders.freihand import FreiHandPhotos
from i2uv_jax.data.builders.hic import HicPhotos
from i2uv_jax.data.builders.ho3d import Ho3dV3
from i2uv_jax.data.builders.uv_map_pairs import UvMapPairs, UvMapPairsConfig
from i2uv_jax.hand.asset import load_hand
from tests import archives
from tests.data.test_files import mano_files  # noqa: F401, a fixture
from tests.mano_files import write_mano


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


def write_maps(folder, *names, size=8):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        np.savez(folder / f"{name}.npz", uv_map=np.full((size, size, 3), index, np.float32))


def everything(folder):
    """All that lies in a folder, and when it was written."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def refuse(build, folder, message):
    """The build fails with one line of that pattern and changes nothing."""
    before = everything(folder)
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert "cannot be continued" in str(error.value) and "\n" not in str(error.value)
    assert everything(folder) == before


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


@pytest.mark.parametrize("is_finished", [True, False])
def test_other_maps_of_the_same_names_leave_a_set_as_it_is(tmp_path, monkeypatch, is_finished):
    monkeypatch.setattr(resumable, "SAMPLES_PER_SHARD", 2)
    maps, sets = tmp_path / "maps", tmp_path / "sets"
    write_maps(maps, "a", "b", "c")

    def build(**arguments):
        builder = UvMapPairs(data_dir=sets, config=UvMapPairsConfig(folder=maps))
        builder.download_and_prepare(**arguments)
        return builder

    if is_finished:
        build()
    else:
        with pytest.raises(StopHereError):
            build(on_progress=stop_after(3))
    write_maps(maps, "a", "b", "c", size=16)
    refuse(build, sets, r"/maps/a\.npz has changed since, from \d+ bytes \(\w+\) to \d+ bytes")
    write_maps(maps, "b", "a", "c")
    refuse(build, sets, r"/maps/a\.npz has changed since")
    # Packed in another way, the same arrays are the same.
    write_maps(maps, "a", "b", "c")
    with np.load(maps / "a.npz") as arrays:
        np.savez_compressed(maps / "a.npz", **arrays)
    source = tfds.builder_from_directory(build().data_path).as_data_source(split="train")
    assert sorted(sample["uv_map"][0, 0, 0] for sample in source) == [0, 1, 2]


def test_a_complete_set_is_not_touched(tmp_path):
    write_maps(tmp_path / "maps", "a", "b")
    config = UvMapPairsConfig(folder=tmp_path / "maps")
    UvMapPairs(data_dir=tmp_path / "sets", config=config).download_and_prepare()
    before = everything(tmp_path / "sets")
    again = UvMapPairs(data_dir=tmp_path / "sets", config=config)
    again.download_and_prepare()
    assert everything(tmp_path / "sets") == before
    assert again.info.splits["train"].num_examples == 2


def test_a_finished_set_without_its_shards_still_knows_what_it_was(tmp_path):
    write_maps(tmp_path / "maps", "a", "b")
    config = UvMapPairsConfig(folder=tmp_path / "maps")

    def build():
        UvMapPairs(data_dir=tmp_path / "sets", config=config).download_and_prepare()

    build()
    whole = shards(tmp_path / "sets")
    for path in (tmp_path / "sets").rglob("*.array_record-*-of-*"):
        path.unlink()
    build()
    assert shards(tmp_path / "sets") == whole
    # Another atlas is told from the one that the finished set names.
    (noted,) = (tmp_path / "sets").rglob("metadata.json")
    noted.write_text(noted.read_text().replace(load_hand().atlas.fingerprint, "0123456789abcdef"))
    refuse(build, tmp_path / "sets", "its maps are laid out on another UV atlas")


def test_what_stopped_a_build_before_its_first_shard_may_be_mended(tmp_path):
    write_maps(tmp_path / "maps", "a", "b")
    write_maps(tmp_path / "maps", "c", size=16)
    builder = UvMapPairs(
        data_dir=tmp_path / "sets", config=UvMapPairsConfig(folder=tmp_path / "maps")
    )
    with pytest.raises(ValueError, match=r"c\.npz: expected maps of 8 texels a side"):
        builder.download_and_prepare()
    write_maps(tmp_path / "maps", "c")
    builder.download_and_prepare()
    assert builder.info.splits["train"].num_examples == 3


def test_sets_from_before_files_were_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "SAMPLES_PER_SHARD", 1)
    write_maps(tmp_path / "maps", "a", "b")

    def build():
        config = UvMapPairsConfig(folder=tmp_path / "maps")
        builder = UvMapPairs(data_dir=tmp_path / "sets", config=config)
        builder.download_and_prepare()
        return builder

    made = build()
    (made.data_path / "sources.json").unlink()
    before = everything(tmp_path / "sets")
    # Other contents go unnoticed, but harm nothing; other names are refused.
    write_maps(tmp_path / "maps", "a", "b", size=16)
    build()
    assert everything(tmp_path / "sets") == before
    source = tfds.builder_from_directory(made.data_path).as_data_source(split="train")
    assert [sample["uv_map"].shape for sample in source] == 2 * [(8, 8, 3)]
    write_maps(tmp_path / "maps", "c")
    refuse(build, tmp_path / "sets", "its names are not those of the folder")
    (tmp_path / "maps" / "c.npz").unlink()
    # One that is not complete is not added to.
    next(made.data_path.glob("*00001-of-00002")).unlink()
    refuse(build, tmp_path / "sets", r"what it is made of is unknown: no sources\.json")


@pytest.mark.parametrize("text", ["{", "[3]"])
def test_a_damaged_list_of_files_is_refused(tmp_path, text):
    write_maps(tmp_path / "maps", "a")
    config = UvMapPairsConfig(folder=tmp_path / "maps")
    builder = UvMapPairs(data_dir=tmp_path / "sets", config=config)
    builder.download_and_prepare()
    (builder.data_path / "sources.json").write_text(text)
    refuse(builder.download_and_prepare, tmp_path / "sets", r"sources\.json lists no files")


def test_samples_that_nothing_was_noted_of_are_refused(tmp_path):
    write_maps(tmp_path / "maps", "a")
    config = UvMapPairsConfig(folder=tmp_path / "maps")
    builder = UvMapPairs(data_dir=tmp_path / "sets", config=config)
    builder.download_and_prepare()
    (builder.data_path / "metadata.json").unlink()
    refuse(builder.download_and_prepare, tmp_path / "sets", r"is unknown: no metadata\.json")


def changed_pickle(path):
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])


def changed_json(path):
    values = json.loads(path.read_text())
    values[0][0][0] += 1e-3
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("builder_type", "write", "name", "change"),
    [
        (FreiHandPhotos, archives.write_freihand, "training_verts.json", changed_json),
        (FreiHandPhotos, archives.write_freihand, "evaluation_K.json", changed_json),
        (
            Ho3dV3,
            lambda folder, mano: archives.write_ho3d(folder, mano, "v3"),
            "train/ABF10/meta/0001.pkl",
            changed_pickle,
        ),
        (
            HicPhotos,
            archives.write_hic,
            "IJCV16___Results_MANO___parms_for___joints21/"
            "IJCV16___fakeGT___IJCV___01___Model_Hand_L___ncomps45/001.pkl",
            changed_pickle,
        ),
    ],
)
def test_photos_of_other_annotations_or_another_mano_leave_a_set_as_it_is(
    tmp_path,
    mano_files,  # noqa: F811
    builder_type,
    write,
    name,
    change,
):
    archive, sets = tmp_path / "archive", tmp_path / "sets"
    write(archive, mano_files.mano_path)

    def build(config=mano_files, folder=archive):
        builder_type(data_dir=sets, config=config).build(folder)

    build()
    other = replace(mano_files, mano_path=write_mano(tmp_path / "OTHER.pkl", seed=1))
    refuse(lambda: build(other), sets, r"/OTHER\.pkl has changed since, from \d+ bytes")
    # Elsewhere the same files are the same.
    before = everything(sets)
    archive.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / name
    moved_mano = tmp_path / "RENAMED.pkl"
    moved_mano.write_bytes(mano_files.mano_path.read_bytes())
    build(replace(mano_files, mano_path=moved_mano), tmp_path / "moved")
    assert everything(sets) == before
    change(moved)
    refuse(lambda: build(folder=tmp_path / "moved"), sets, f"/moved/{name} has changed since")


def test_meshes_that_come_or_go_are_noticed(tmp_path, mano_files):  # noqa: F811
    archive, sets = tmp_path / "archive", tmp_path / "sets"
    archives.write_freihand(archive, mano_files.mano_path)
    vertices = (archive / "training_verts.json").read_bytes()

    def build():
        FreiHandPhotos(data_dir=sets, config=mano_files).build(archive)

    build()
    (archive / "training_verts.json").unlink()
    refuse(build, sets, r"/training_mano\.json was not there when it was made")
    (archive / "training_verts.json").write_bytes(vertices)
    build()


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
