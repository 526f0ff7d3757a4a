"""`i2uv bench predict` with a stand-in for the network and made-up starts; no time is held."""

import json

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.inference import hand_detector, photo_benchmark
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.photo_benchmark import Runs
from i2uv_jax.measuring.timing import Spread

STEPS = ["read", "crop", "network and mesh"]


@pytest.fixture
def made_up_starts(monkeypatch):
    """Every process takes two seconds; returns the commands that were to be run."""
    commands = []
    whole, cpu = Spread((1.0, 2.0, 6.0)), Spread((3.0, 3.0, 3.0))

    def measure_command(command, *, num_starts):
        commands.append(list(command))
        return Runs(whole, cpu)

    def measure_first_mesh(path, model, box_xyxy, *, num_starts):
        return Runs(whole, cpu, {"imports": whole})

    monkeypatch.setattr(photo_benchmark, "measure_command", measure_command)
    monkeypatch.setattr(photo_benchmark, "measure_first_mesh", measure_first_mesh)
    return commands


@pytest.fixture
def detector(monkeypatch):
    """Finds a hand in every other photo."""

    class Detector:
        num_asked = 0

        def compile(self):
            pass

        def __call__(self, photo):
            self.num_asked += 1
            return [DetectedHand((10.0, 5.0, 40.0, 45.0), "left", 0.9)][: self.num_asked % 2]

    one = Detector()
    monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: one)
    return one


@pytest.fixture
def run(tiny_model_path, fast_network, made_up_starts):
    """Runs the verb on few and small photos; gives the exit code."""

    def run_bench(*words):
        small = ["--count", "2", "--photos", "5", "--batch", "2", "--width", "64"]
        words = ["--model", str(tiny_model_path), "--backend", "xla", *small, *words]
        return main(["bench", "predict", *words])

    return run_bench


def test_json(run, detector, made_up_starts, capsys):
    assert run("--json") == 0
    captured = capsys.readouterr()
    assert "measuring: fresh processes ..." in captured.err
    described = json.loads(captured.out)
    assert (described["width"], described["height"]) == (64, 48)
    rows = described["rows"]
    assert list(rows) == [
        "hand", "found_hand", "files", "files_and_panel", "command", "python"
    ]  # fmt: skip
    assert list(rows["hand"]["steps"]) == STEPS
    assert list(rows["found_hand"]["steps"]) == ["read", "find", *STEPS[1:]]
    assert detector.num_asked == 4
    assert {name: row["aim"] for name, row in rows.items()} == {
        "hand": 14, "found_hand": 30, "files": None, "files_and_panel": None,
        "command": 5, "python": 5,
    }  # fmt: skip
    assert rows["hand"]["runs"] == rows["files"]["runs"] == 2
    for row in rows.values():
        assert 0 < row["fastest"] <= row["median"] <= row["slowest"]
    assert rows["python"]["steps"]["imports"] == {"median": 2, "fastest": 1, "slowest": 6}
    assert rows["command"]["cpu"]["median"] == 3
    folder = described["folder"]
    assert (folder["photos"], folder["batch"], folder["aim"]) == (5, 2, 0.8)
    # Seconds are told to the millisecond.
    per_second = folder["photos_per_second"]
    assert per_second * folder["seconds"] == pytest.approx(5, abs=0.001 * per_second)
    share = folder["photos_per_second"] / folder["network_photos_per_second"]
    assert folder["share_of_network"] == pytest.approx(share, abs=1e-3)
    ((_, module, name, *words),) = made_up_starts
    assert (module, name, words[0]) == ("-m", "i2uv_jax.cli.main", "predict")
    assert "--box" in words


def test_table(run, capsys):
    assert run("--detector", "none") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "photos of 64 x 48" in lines[0]
    assert not any("found first" in line for line in lines)
    (command,) = [line for line in lines if line.startswith("i2uv predict, fresh")]
    assert command.split()[3:] == ["2.00", "1.00", "6.00", "3.00", "s", "5", "3"]
    assert lines[-2].startswith("folder: 5 photos in ")
    assert lines[-1].startswith("the network alone, batches of 2: ") and "(aim 80%)" in lines[-1]


def test_what_takes_long_can_be_left_out(run, made_up_starts, capsys):
    assert run("--detector", "none", "--starts", "0", "--photos", "0", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert list(described["rows"]) == ["hand", "files", "files_and_panel"]
    assert described["folder"] is None and made_up_starts == []


def test_mistakes_are_one_line(run, monkeypatch, capsys):
    def error_of(*words, code):
        assert run(*words) == code
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        return line

    assert "no model named 'nonesuch'" in error_of("--model", "nonesuch", code=2)
    assert "too small to show a hand" in error_of("--width", "16", "--starts", "0", code=2)

    def fail(command, *, num_starts):
        raise RuntimeError("python -m ... failed: no memory")

    monkeypatch.setattr(photo_benchmark, "measure_command", fail)
    assert error_of(code=1).endswith("failed: no memory")
    with pytest.raises(SystemExit):
        run("--starts", "-1")
    assert "expected a whole number, got '-1'" in capsys.readouterr().err
