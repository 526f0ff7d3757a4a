"""What `i2uv bench predict` times: runs, their steps, commands, drawn photos. No time is held."""

import json
import sys

import numpy as np
import pytest

from i2uv_jax.imaging.read import read_photo
from i2uv_jax.inference import first_mesh
from i2uv_jax.inference.drawn_photos import draw_photo, write_photos
from i2uv_jax.inference.photo_benchmark import FolderSpeed, measure_command, measure_runs


def test_runs_leave_out_warming_up_and_sum_their_steps():
    clock_ticks = iter(range(100))

    def run(index, clock):
        clock.seconds = {"read": 1.0 + index, "crop": 0.5}

    runs = measure_runs(run, 3, num_warm_up=1, cpu_clock=lambda: next(clock_ticks))
    assert list(runs.steps) == ["read", "crop"]
    assert runs.steps["read"].seconds == (2, 3, 4)
    assert runs.whole.seconds == (2.5, 3.5, 4.5)
    assert runs.cpu.seconds == (1, 1, 1)


def test_runs_without_steps_are_timed_as_a_whole():
    runs = measure_runs(lambda index, clock: None, 2)
    assert runs.steps == {} and len(runs.whole.seconds) == 2
    assert min(runs.whole.seconds) > 0


def test_a_clock_splits_all_the_time():
    def run(index, clock):
        clock.note("first")
        clock.note("second")

    runs = measure_runs(run, 1)
    (first,), (second,) = (runs.steps[step].seconds for step in ("first", "second"))
    assert runs.whole.seconds == (first + second,) and min(first, second) > 0


def test_a_command_is_run_once_more_than_timed(tmp_path):
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x')"
    runs = measure_command([sys.executable, "-S", "-c", code], num_starts=2)
    assert len(runs.whole.seconds) == len(runs.cpu.seconds) == 2
    assert log.read_text() == "xxx"


def test_a_failed_command_says_why():
    words = [sys.executable, "-S", "-c", "raise SystemExit('first\\nno such hand')"]
    with pytest.raises(RuntimeError, match="failed: no such hand"):
        measure_command(words, num_starts=1)


def test_a_first_mesh_tells_its_steps(tmp_path, tiny_model_path, capsys):
    drawn = write_photos(tmp_path, 1, 96)
    words = [drawn.paths[0], tiny_model_path, *drawn.box_xyxy]
    first_mesh.main([str(word) for word in words])
    told = json.loads(capsys.readouterr().out)
    assert list(told["steps"]) == ["imports", "model", "compiling", "first hand"]
    assert min(told["steps"].values()) > 0 and told["entered"] > 1e9


def test_photos_per_second():
    assert FolderSpeed(num_photos=50, seconds=4.0, cpu_seconds=6.0).photos_per_second == 12.5


def test_drawn_photos_are_photos_with_a_hand_in_the_box(tmp_path):
    drawn = write_photos(tmp_path, 18, 160)
    assert sorted(tmp_path.iterdir()) == list(drawn.paths)
    pictures = [read_photo(path) for path in drawn.paths]
    assert {picture.shape for picture in pictures} == {(120, 160, 3)}
    # What repeats is as far apart as can be.
    assert (pictures[0] == pictures[16]).all()
    assert (pictures[0] != pictures[1]).any()
    left, top, right, bottom = drawn.box_xyxy
    assert right - left == bottom - top == pytest.approx(72)
    # Nothing but the hand is redder than the background's brightest.
    rows, columns = np.nonzero(draw_photo(160, 120, 3)[..., 0] > 205)
    assert len(rows) > 200
    assert left - 1 <= columns.min() and columns.max() <= right + 1
    assert top - 1 <= rows.min() and rows.max() <= bottom + 1
