"""Stored sets: read back through tensorflow-datasets, resumed after every kind of interruption."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds

from i2uv_jax.config import RenderConfig
from i2uv_jax.data.builders import resumable
from i2uv_jax.data.builders.synthetic_hands import (
    BuildSettings,
    SyntheticHands,
    SyntheticHandsConfig,
)
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.data.stored import decode_sample
from i2uv_jax.data.streams import Stream, stream_key
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.asset import load_hand

SETTINGS = BuildSettings(
    render=RenderConfig(image_size=32, uv_map_size=2), seed=5, count=8, num_shards=3, batch_size=2
)


def builder(folder, settings=SETTINGS):
    return SyntheticHands(data_dir=folder, config=SyntheticHandsConfig(settings=settings))


def shards(folder):
    """Content by name of all shards under their final names."""
    return {
        path.name: path.read_bytes() for path in Path(folder).rglob("*.array_record-*-of-0000?")
    }


@pytest.fixture
def built(tmp_path, fast_renderer):
    made = builder(tmp_path / "set")
    made.download_and_prepare()
    return made


def test_a_set_reads_back_through_tfds(built, tmp_path):
    assert Path(built.data_path) == tmp_path / "set/synthetic_hands/size32_seed5/1.1.0"
    assert list(shards(tmp_path)) and sorted(shards(tmp_path)) == [
        f"synthetic_hands-train.array_record-0000{i}-of-00003" for i in range(3)
    ]
    assert not list(tmp_path.rglob("*.partial"))
    sources = [
        tfds.builder_from_directory(built.data_path).as_data_source(split="train"),
        tfds.data_source(
            "synthetic_hands/size32_seed5", data_dir=tmp_path / "set", split="train", download=False
        ),
        built.as_data_source(split="train"),
    ]
    info = tfds.builder_from_directory(built.data_path).info
    assert info.splits["train"].shard_lengths == [2, 3, 3]
    assert info.metadata["settings"]["render"]["image_size"] == 32
    assert info.metadata["settings"]["atlas"] == load_hand().atlas.fingerprint

    # The same pictures as the generator's: shard 1 begins at sample 2.
    generator = HandGenerator(SETTINGS.render, load_hand(), SETTINGS.batch_size)
    key = stream_key(jax.random.key(SETTINGS.seed), Stream.STORED_SET)
    key = jax.random.fold_in(key, 1)
    truth = [
        jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        for batch in generator.batches(key, 3)
        for i in range(len(batch.image))
    ]
    tables = build_tables(load_hand().atlas, 8)
    for source in sources:
        assert len(source) == 8
        for index, true in enumerate(truth):
            sample = decode_sample(source[2 + index], tables)
            assert np.abs(sample.vertices - true.vertices).max() < 3e-6
            assert np.abs(sample.image - true.image).mean() < 0.03
            np.testing.assert_array_equal(sample.keypoint_visible, true.keypoint_visible)
            assert sample.uv_map.shape == (8, 8, 3)
        batch = jax.tree.map(
            lambda *leaves: np.stack(leaves), *(decode_sample(s, tables) for s in source)
        )
        assert batch.uv_map.shape == (8, 8, 8, 3)


def test_samples_differ_and_depend_on_seed_and_shard_alone(built, tmp_path, fast_renderer):
    assert len(set(shards(tmp_path / "set").values())) == 3
    again = builder(tmp_path / "again")
    again.download_and_prepare()
    assert shards(tmp_path / "again") == shards(tmp_path / "set")
    # Shard 0 of a longer set begins alike.
    first = [s["vertices"] for s in built.as_data_source(split="train[:2]")]
    longer = builder(tmp_path / "longer", replace(SETTINGS, count=12))
    longer.download_and_prepare()
    for ours, theirs in zip(first, longer.as_data_source(split="train[:2]"), strict=True):
        np.testing.assert_array_equal(ours, theirs["vertices"])


class StopHereError(Exception):
    pass


def test_an_interrupted_build_goes_on_where_it_was(tmp_path, built, monkeypatch):
    made = builder(tmp_path / "cut")
    done = []

    def stop_in_the_second_shard(num_samples):
        done.append(num_samples)
        if sum(done) == 4:
            raise StopHereError

    with pytest.raises(StopHereError):
        made.download_and_prepare(on_progress=stop_in_the_second_shard)
    # One whole shard, no half one, and no reader takes the folder for a set.
    kept = shards(tmp_path / "cut")
    assert list(kept) == ["synthetic_hands-train.array_record-00000-of-00003"]
    assert {p.name for p in Path(made.data_path).iterdir()} == {*kept, "metadata.json"}
    with pytest.raises(Exception, match="dataset_info"):
        tfds.builder_from_directory(made.data_path)

    rendered, render = [], HandGenerator.batches
    monkeypatch.setattr(
        HandGenerator,
        "batches",
        lambda self, key, count: rendered.append(count) or render(self, key, count),
    )
    done.clear()
    builder(tmp_path / "cut").download_and_prepare(on_progress=done.append)
    assert rendered == [3, 3]
    assert done == [2] + 6 * [1]
    assert shards(tmp_path / "cut") == shards(tmp_path / "set")
    assert len(tfds.builder_from_directory(made.data_path).as_data_source(split="train")) == 8

    # A complete set is left alone.
    rendered.clear()
    builder(tmp_path / "cut").download_and_prepare()
    assert rendered == []


def test_other_settings_in_the_same_folder_are_refused(built, tmp_path):
    with pytest.raises(ValueError, match=r"its count is 8, not 9"):
        builder(tmp_path / "set", replace(SETTINGS, count=9)).download_and_prepare()
    metadata = Path(built.data_path) / "metadata.json"
    noted = json.loads(metadata.read_text())
    noted["settings"]["unheard_of"] = 1
    for text in (json.dumps(noted), "{", "{}"):
        metadata.write_text(text)
        with pytest.raises(ValueError, match="cannot be continued"):
            builder(tmp_path / "set").download_and_prepare()


def test_a_damaged_shard_is_named(built, tmp_path):
    path = next(Path(built.data_path).glob("*-00001-of-*"))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="00001-of-00003: a damaged shard of 0 samples instead"):
        builder(tmp_path / "set").download_and_prepare()


def test_a_full_disk_is_an_oserror_and_leaves_no_shard(tmp_path, fast_renderer, monkeypatch):
    class FullDisk:
        def __init__(self, path, options):
            Path(path).write_bytes(b"half")

        def write(self, record):
            pass

        def close(self):
            # What array_record 0.8 says.
            raise RuntimeError(
                "write() failed: No space left on device; writing x; at byte 307200; "
                "Failed to close chunk_writer"
            )

    monkeypatch.setattr(resumable.array_record_module, "ArrayRecordWriter", FullDisk)
    made = builder(tmp_path)
    with pytest.raises(OSError, match=r"No space left on device.*00000-of-00003"):
        made.download_and_prepare()
    assert {p.name for p in Path(made.data_path).iterdir()} == {"metadata.json"}


def test_a_shard_that_arrives_short_is_not_named(tmp_path, fast_renderer, monkeypatch):
    monkeypatch.setattr(resumable, "_num_records", lambda path: 1)
    with pytest.raises(OSError, match="1 of 2 samples arrived"):
        builder(tmp_path).download_and_prepare()
    assert not shards(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count: expected at least 1"),
        ({"num_shards": 9}, "num_shards: expected at most the 8 samples, got 9"),
        ({"image_format": "gif"}, "image_format"),
        ({"quality": 101}, "quality: expected 1 to 100"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **changes)


def test_shard_lengths_are_even():
    lengths = replace(SETTINGS, count=10, num_shards=4).shard_lengths
    assert sum(lengths) == 10 and set(lengths) == {2, 3}
