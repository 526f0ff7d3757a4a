"""`i2uv data`, with a stand-in for the renderer."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.data import generator
from i2uv_jax.data.builders import resumable


def error_line(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def real(tmp_path):
    """A folder of four noisy pictures."""
    folder = tmp_path / "real"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        pixels = rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_sheet_shows_as_many_pictures_as_asked_for(tmp_path, fast_renderer, capsys):
    words = ["data", "sheet", "--count", "5", "--size", "24", "--batch", "2", "--seed", "4"]
    first, second = tmp_path / "new" / "a.png", tmp_path / "b.png"
    assert main([*words, "--out", str(first)]) == 0
    assert main([*words, "--out", str(second)]) == 0
    assert str(first) in capsys.readouterr().out
    assert first.read_bytes() == second.read_bytes()
    sheet = np.asarray(Image.open(first))
    assert sheet.shape == (2 * 26 - 2, 3 * 26 - 2, 3)
    assert np.all(sheet[26:, 52:] == 255) and np.any(sheet[26:, 26:50] < 255)
    assert main([*words, "--out", str(second), "--seed", "5"]) == 0
    assert first.read_bytes() != second.read_bytes()


def test_options_and_overrides_reach_the_renderer(tmp_path, monkeypatch, capsys):
    seen = []

    def stop(config, hand):
        seen.append(config)
        raise ValueError("here: cannot be used")

    monkeypatch.setattr(generator, "load_render_assets", stop)
    words = ["data", "sheet", "--out", str(tmp_path / "a.png"), "--skins", "some skins"]
    words += ["--backgrounds", "b", "--render.sensor.noise", "0.5", "--render.image_size=40"]
    assert main(words) == 2
    assert error_line(capsys) == "i2uv data: error: here: cannot be used"
    assert not (tmp_path / "a.png").exists()
    (config,) = seen
    assert (config.skin.folder, config.background.folder) == ("some skins", "b")
    assert (config.sensor.noise, config.image_size) == (0.5, 40)


def test_stats_table_and_json(real, fast_renderer, capsys):
    words = ["data", "stats", "--real", str(real), "--count", "3", "--size", "16", "--batch", "2"]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "3 generated and 4 real pictures of 16 x 16" in table
    assert "spectrum: slope" in table and "mean distance, colour:" in table
    assert main([*words, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["generated_pictures"], described["real_pictures"]) == (3, 4)
    rows = {row["name"]: row for row in described["statistics"]}
    # White noise against smooth colours: spectra differ, mean colours do not.
    assert rows["slope"]["real"] > -0.6 > rows["slope"]["generated"]
    assert rows["slope"]["distance"] > 3
    assert rows["mean of red"]["generated"] == pytest.approx(0.5, abs=0.1)


def test_build_and_read_back(tmp_path, fast_renderer, capsys):
    words = ["data", "build", "--out", str(tmp_path), "--count", "5", "--seed", "3"]
    words += ["--shards", "2", "--image-size", "32", "--batch", "2", "--format", "png"]
    assert main(words) == 0
    folder = tmp_path / "synthetic_hands" / "size32_seed3" / "1.1.0"
    assert "5 samples in 2 shards, " in capsys.readouterr().out
    source = tfds.builder_from_directory(folder).as_data_source(split="train")
    assert len(source) == 5 and source[4]["image"].shape == (32, 32, 3)
    # Once more: nothing to do. With another count: refused.
    assert main(words) == 0
    capsys.readouterr()
    words[words.index("5")] = "6"
    assert main(words) == 2
    assert "its count is 5, not 6" in error_line(capsys)


def test_a_build_interrupted_says_how_to_go_on(tmp_path, fast_renderer, capsys, monkeypatch):
    words = ["data", "build", "--out", str(tmp_path), "--count", "4", "--shards", "2"]
    words += ["--image-size", "32", "--batch", "2"]
    write, calls = resumable._write_shard, []

    def interrupted(path, records):
        calls.append(path)
        if len(calls) == 2:
            next(records)
            raise KeyboardInterrupt
        write(path, records)

    monkeypatch.setattr(resumable, "_write_shard", interrupted)
    assert main(words) == 130
    assert "the same command continues" in error_line(capsys)
    assert main(words) == 0
    assert len(calls) == 3


def test_a_full_disk_costs_a_line(tmp_path, fast_renderer, capsys, monkeypatch):
    def full(path, records):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(resumable, "_write_shard", full)
    assert main(["data", "build", "--out", str(tmp_path), "--count", "2", "--batch", "2"]) == 1
    line = error_line(capsys)
    assert "00000-of-00001: cannot be written (No space left on device)" in line


def test_out_of_memory_names_the_way_out(tmp_path, capsys, monkeypatch):
    def exhausted(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 1 TB")

    monkeypatch.setattr(generator, "load_render_assets", exhausted)
    assert main(["data", "sheet", "--out", str(tmp_path / "a.png")]) == 1
    line = error_line(capsys)
    assert "RESOURCE_EXHAUSTED" in line and "--batch" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "--out", "a.jpg"], "ends in .png"),
        (["sheet", "--out", "{tmp}/a.png", "--cuont=3"], "unknown config key cuont"),
        (["sheet", "--out", "{tmp}/a.png", "--train.seed=3"], "only keys that begin with render."),
        (["sheet", "--out", "{tmp}/a.png", "--render.sensor.nose=0"], "render.sensor.noise"),
        (["sheet", "--out", "{tmp}/a.png", "--config", "none.py"], "none.py: no such file"),
        (["sheet", "--out", "{tmp}/a.png", "--size", "1"], "image_size: expected at least 2"),
        (["sheet", "--out", "{tmp}/file/a.png"], "file: is a file"),
        (["stats", "--real", "{tmp}/none"], "none: cannot be listed"),
        (["stats", "--real", "{tmp}", "--size", "8"], "expected at least 16"),
        (["stats", "--real", "{tmp}", "--count", "1"], "at least 2 pictures"),
        (["build", "--out", "{tmp}", "--count", "2", "--shards", "3"], "at most the 2 samples"),
        (["build", "--out", "{tmp}", "--count", "2", "--quality", "101"], "1 to 100"),
        (["build", "--out", "{tmp}/file", "--count", "2"], "is a file"),
        (["build", "--out", "{tmp}"], "--count N: say how many"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, capsys, words, message):
    (tmp_path / "file").write_text("in the way")
    assert main(["data", *(word.replace("{tmp}", str(tmp_path)) for word in words)]) == 2
    line = error_line(capsys)
    assert line.startswith("i2uv data: error: ") and message in line


@pytest.mark.parametrize(
    "words",
    [
        ["data"],
        ["data", "sheet"],
        ["data", "sheet", "--seed", "-1"],
    ],
)
def test_wrong_usage_exits_with_2(words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
