"""`i2uv data build --set`: owners' archives and folders of UV maps, from the command line."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from i2uv_jax.cli.main import main
from i2uv_jax.config import DataConfig, ExperimentConfig
from i2uv_jax.data.builders import hand_photos, resumable
from i2uv_jax.data.files import FileSource
from i2uv_jax.training.program import build_program
from tests.archives import write_freihand
from tests.mano_files import write_mano, write_template
from tests.training.sheet import SHEET_CONFIG


def error_line(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def words(tmp_path):
    """A command that stores FreiHAND."""
    mano = write_mano(tmp_path / "MANO_RIGHT.pkl")
    write_freihand(tmp_path / "archives", mano)
    template = write_template(tmp_path / "template.obj")
    files = {"archives": tmp_path / "archives", "mano": mano, "uv-template": template}
    pairs = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    return ["data", "build", "--set", "freihand", "--out", str(tmp_path / "sets"), *pairs]


def test_archives_become_a_set_that_training_opens(tmp_path, words, capsys):
    assert main(words) == 0
    *counts, folder = capsys.readouterr().out.splitlines()
    assert sorted(line.split(",")[0] for line in counts) == [
        "evaluation: 2 samples", "train: 8 samples",
    ]  # fmt: skip
    # Once more: nothing to do.
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == folder
    config = ExperimentConfig(
        name="stored", model=SHEET_CONFIG.model, train=SHEET_CONFIG.train,
        data=DataConfig(sets=((folder, 1.0),), workers=0),
    )  # fmt: skip
    program = build_program(config)
    assert isinstance(program.source, FileSource)
    assert program.source.training_batch(0).image.shape == (4, 32, 32, 3)


def test_a_folder_of_uv_maps_becomes_a_set(tmp_path, capsys):
    rng = np.random.default_rng(0)
    maps = {name: rng.random((16, 16, 3)).astype(np.float32) for name in ("a", "b")}
    for name, uv_map in maps.items():
        np.savez(tmp_path / f"{name}.npz", uv_map=uv_map, coarse_uv_map=uv_map / 2)
    words = ["data", "build", "--set", "uv_maps", "--archives", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "sets")]) == 0
    folder = capsys.readouterr().out.splitlines()[-1]
    source = tfds.builder_from_directory(folder).as_data_source(split="train")
    for sample in source:
        uv_map = maps[sample["name"].decode()]
        np.testing.assert_array_equal(sample["uv_map"], uv_map)
        np.testing.assert_array_equal(sample["coarse_uv_map"], uv_map / 2)
    np.savez(tmp_path / "c.npz", uv_map=np.zeros((8, 8, 3)))
    assert main([*words, "--out", str(tmp_path / "others")]) == 2
    assert "c.npz: expected maps of 16 texels a side" in error_line(capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--archives": "{tmp}/none"}, "none: no such file or folder; FreiHAND is to be had at"),
        ({"--mano": "{tmp}/none"}, "none: cannot be read"),
        ({"--mano": "{tmp}/hostile.pkl"}, "hostile.pkl: refused: it asks for os.system"),
        ({"--uv-template": "{tmp}/hostile.pkl"}, "holds no face with texture coordinates"),
        ({"--mano": None}, "--set freihand needs --mano"),
        ({"--render.sensor.strength": "0"}, "--render.: goes with rendered sets only"),
        ({"--set": "rendered"}, "--archives: goes with --set of files only"),
    ],
)
def test_bad_input_is_one_line(tmp_path, words, capsys, changes, message):
    (tmp_path / "hostile.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    for option, value in changes.items():
        if option in words:
            place = words.index(option)
            del words[place : place + 2]
        if value is not None:
            words += [option, value.replace("{tmp}", str(tmp_path))]
    assert main(words) == 2
    line = error_line(capsys)
    assert line.startswith("i2uv data: error: ") and message in line


@pytest.mark.parametrize(
    "option",
    ["count=3", "seed=3", "shards=3", "size=64", "format=png", "quality=80", "config=a.py",
     "skins=a", "backgrounds=a", "batch=3"],
)  # fmt: skip
def test_options_of_rendered_sets_are_refused_with_others(tmp_path, capsys, option):
    files = ["--archives", "a", "--mano", "b", "--uv-template", "c", "--out", str(tmp_path / "out")]
    for name in ("freihand", "uv_maps"):
        assert main(["data", "build", "--set", name, *files, f"--{option}"]) == 2
        refused = option.split("=")[0]
        line = error_line(capsys)
        assert line == f"i2uv data: error: --{refused}: goes with rendered sets only"
    assert not (tmp_path / "out").exists()


def test_a_full_disk_costs_a_line(words, capsys, monkeypatch):
    class FullDisk:
        def __init__(self, path, options):
            pass

        def write(self, record):
            raise RuntimeError("write() failed: No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(resumable.array_record_module, "ArrayRecordWriter", FullDisk)
    assert main(words) == 1
    line = error_line(capsys)
    assert "cannot be written (No space left on device); once it can, the same command" in line


def test_ctrl_c_keeps_whole_shards_and_the_same_command_goes_on(words, capsys, monkeypatch):
    monkeypatch.setattr(resumable, "SAMPLES_PER_SHARD", 3)
    encode, photos = hand_photos.encode_photo, []

    def interrupted(photo, *others):
        if len(photos) == 4:
            raise KeyboardInterrupt
        photos.append(photo.name)
        return encode(photo, *others)

    monkeypatch.setattr(hand_photos, "encode_photo", interrupted)
    assert main(words) == 130
    assert "the same command continues from the last whole shard in" in error_line(capsys)

    def counted(photo, *others):
        photos.append(photo.name)
        return encode(photo, *others)

    monkeypatch.setattr(hand_photos, "encode_photo", counted)
    assert main(words) == 0
    # The second shard was cut after its first photo, which was read twice; the first one was kept.
    assert len(photos) == 8 + 2 + 1 and len(set(photos)) == 10
    folder = capsys.readouterr().out.splitlines()[-1]
    stored = tfds.builder_from_directory(folder)
    assert stored.info.splits["train"].shard_lengths == [3, 3, 2]
    names = {sample["name"].decode() for sample in stored.as_data_source(split="train")}
    assert names == {name for name in photos if name.startswith("training")}
