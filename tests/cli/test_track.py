"""`i2uv track`: what it writes for a video, and for one that is broken or interrupted."""

import json
import signal
import struct
import time

import numpy as np
import pytest
import trimesh
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.imaging.video import VideoWriteError, VideoWriter, open_video, open_video_writer
from i2uv_jax.inference import hand_detector
from i2uv_jax.inference.detected_hand import DetectedHand

pytest.importorskip("av")

NUM_FRAMES = 11


@pytest.fixture
def clip(tmp_path):
    """A video whose brightness tells the frame: frame n is at about 20 n."""
    path = tmp_path / "in" / "clip.mp4"
    path.parent.mkdir()
    with open_video_writer(path, 25) as writer:
        for number in range(NUM_FRAMES):
            writer.write(np.full((60, 80, 3), 20 * number, np.uint8), number / 25)
    return path


@pytest.fixture
def track(tmp_path, tiny_model_path, fast_network, monkeypatch):
    """Runs the verb with a detector that finds a hand that moves 2 pixels a frame, from frame 2
    on, and at one frame calls `at_failure`; gives the exit code and the lines of the JSON."""

    class Detector:
        def __init__(self, fails_at, at_failure):
            self.fails_at = fails_at
            self.at_failure = at_failure

        def compile(self):
            pass

        def __call__(self, frame):
            number = round(frame.mean() / 20)
            if number == self.fails_at:
                self.at_failure()
            left = 10.0 + 2 * number
            return [DetectedHand((left, 5, left + 40, 45), "left", 0.9)] if number >= 2 else []

    def run(*arguments, detector=None, fails_at=None, at_failure=None, stem="clip"):
        detector = detector or Detector(fails_at, at_failure)
        monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: detector)
        words = ["track", *map(str, arguments), "--out", str(tmp_path / "out"), "--batch", "4"]
        code = main([*words, "--model", str(tiny_model_path), "--backend", "xla"])
        lines = tmp_path / "out" / f"{stem}.jsonl"
        rows = [json.loads(line) for line in lines.read_text().splitlines()] if code != 2 else []
        return code, rows

    return run


def test_every_frame_has_a_line_and_the_hand_one_number(track, clip, tmp_path):
    code, (head, *frames, end) = track(clip)
    assert code == 0
    assert head["keypoint_names"][8] == "index_tip"
    assert head["frames_per_second"] == pytest.approx(25)
    assert end == {"frames": NUM_FRAMES, "end": "complete"}
    assert [frame["frame"] for frame in frames] == list(range(NUM_FRAMES))
    assert [len(frame["hands"]) for frame in frames] == [0, 0] + [1] * 9
    hands = [frame["hands"][0] for frame in frames[2:]]
    assert {(hand["track"], hand["handedness"]) for hand in hands} == {(1, "left")}
    assert [hand["box_xyxy"][0] for hand in hands] == [10 + 2 * n for n in range(2, 11)]
    assert np.shape(hands[0]["keypoints_3d"]) == (21, 3)
    with open_video(tmp_path / "out" / "clip.mp4") as video:
        overlaid = list(video.frames())
    assert [frame.number for frame in overlaid] == list(range(NUM_FRAMES))
    assert np.ptp(overlaid[0].pixels) < 10  # no hand
    assert np.ptp(overlaid[5].pixels) > 50
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"clip.jsonl", "clip.mp4"}


def test_detectors_that_follow_are_asked_frame_by_frame_in_order(track, clip):
    class Following:
        """Its hand drops by the number of frames that it has followed it for."""

        def __init__(self):
            self.frames = []

        def compile(self):
            pass

        def __call__(self, photo, *, in_parts=True):
            return [self.hand(10)]

        def look_in_box(self, photo, box_xyxy):
            raise AssertionError("no box is known")

        def follow(self, frame, earlier):
            number = round(frame.mean() / 20)
            time.sleep(0.02 * (-number % 3))  # Frames in several threads would overtake.
            self.frames.append(number)
            return [self.hand(one.box_xyxy[1] + 1) for one in earlier]

        def hand(self, top):
            keypoints = np.linspace([10, top, 0], [40, top + 30, 0], 21)
            return DetectedHand((10.0, top, 40.0, top + 30), "left", 0.9, keypoints)

    detector = Following()
    code, (_, *frames, _) = track(clip, "--max-hands", "1", detector=detector)
    assert code == 0
    assert detector.frames == list(range(NUM_FRAMES))
    tops = [frame["hands"][0]["box_xyxy"][1] for frame in frames]
    assert tops == [10 + number for number in range(NUM_FRAMES)]
    assert {frame["hands"][0]["track"] for frame in frames} == {1}


def test_meshes_without_an_overlay(track, clip, tmp_path):
    assert track(clip, "--meshes", "--no-overlay")[0] == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"clip.jsonl", "clip"}
    names = sorted(path.name for path in (out / "clip").iterdir())
    assert names == [f"{number:06d}.glb" for number in range(2, NUM_FRAMES)]
    assert len(trimesh.load_scene(out / "clip" / names[0]).geometry) == 1


def test_rigged_hands_move_in_one_file(track, clip, tmp_path):
    code, (_, *frames, _) = track(clip, "--rigged", "--no-overlay", "--no-smooth")
    assert code == 0
    content = (tmp_path / "out" / "clip.glb").read_bytes()
    (length,) = struct.unpack("<I", content[12:16])
    description = json.loads(content[20 : 20 + length])
    (animation,) = description["animations"]
    (mesh,) = (node for node in description["nodes"] if "mesh" in node)
    assert mesh["name"] == "track_1"
    times = description["accessors"][animation["samplers"][0]["input"]]
    # The hand comes into sight with frame 2: frame 0 and the nine that show it.
    assert times["count"] == 1 + NUM_FRAMES - 2
    assert times["max"] == [pytest.approx((NUM_FRAMES - 1) / 25)]
    paths = [channel["target"]["path"] for channel in animation["channels"]]
    assert sorted(set(paths)) == ["rotation", "scale", "translation"]
    rotations = np.array([frame["hands"][0]["joint_rotations"] for frame in frames[2:]])
    assert rotations.shape == (NUM_FRAMES - 2, 20, 4)
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1, atol=1e-4)


def test_a_second_run_leaves_nothing_of_the_first(track, clip, tmp_path):
    assert track(clip, "--rigged", "--meshes")[0] == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"clip.jsonl", "clip.mp4", "clip.glb", "clip"}
    (out / "clip" / "000000.glb").write_bytes((out / "clip" / "000002.glb").read_bytes())
    (out / "clip" / "000001.glb").write_bytes(b"a mesh of mine")
    assert track(clip, "--no-overlay", "--meshes")[0] != 0
    (out / "clip" / "000001.glb").rename(tmp_path / "mine.glb")
    (out / "clip" / "notes.txt").write_text("the user's own")
    assert track(clip, "--no-overlay", "--meshes")[0] == 0
    assert {path.name for path in out.iterdir()} == {"clip.jsonl", "clip"}
    names = {path.name for path in (out / "clip").iterdir()}
    assert names == {"notes.txt", *(f"{number:06d}.glb" for number in range(2, NUM_FRAMES))}
    # A film that has come since, beside a run that wrote none, is the user's own.
    (out / "clip.mp4").write_text("a film of mine")
    assert track(clip, "--no-overlay")[0] == 0
    assert (out / "clip.mp4").read_text() == "a film of mine"
    # So it is where this run would write one.
    assert track(clip)[0] != 0
    assert (out / "clip.mp4").read_text() == "a film of mine"


def test_files_that_are_no_results_are_not_replaced(track, clip, tmp_path, capsys):
    own = tmp_path / "out" / "clip.mp4"
    own.parent.mkdir()
    own.write_text("a film of mine")
    with pytest.raises(FileNotFoundError):  # there are no lines to read
        track(clip)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "clip.mp4: would replace" in error
    assert track(clip, "--no-overlay")[0] == 0
    assert own.read_text() == "a film of mine"


def test_without_a_detector_a_frame_is_looked_at_as_a_photo_is(track, tiny_model_path, tmp_path):
    path = tmp_path / "noise.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    with open_video_writer(path, 25) as writer:
        for number in range(3):
            writer.write(noise.repeat(10, axis=0).repeat(10, axis=1), number / 25)
    code, (_, *frames, _) = track(
        path, "--detector", "none", "--no-overlay", "--no-smooth", stem="noise"
    )
    assert code == 0
    # The whole frame is what is linked: one hand goes on through all of them.
    assert [[hand["track"] for hand in frame["hands"]] for frame in frames] == [[1]] * 3
    (hand,) = frames[0]["hands"]
    assert hand["box_xyxy"] == [0, 0, 80, 60]
    with open_video(path) as video:
        Image.fromarray(next(video.frames()).pixels).save(tmp_path / "photo.png")
    words = ["predict", str(tmp_path / "photo.png"), "--out", str(tmp_path / "photos")]
    words += ["--detector", "none", "--no-panel", "--backend", "xla"]
    assert main([*words, "--model", str(tiny_model_path)]) == 0
    (alike,) = json.loads((tmp_path / "photos" / "photo.json").read_text())["hands"]
    for name in ("keypoints_2d", "keypoints_3d"):
        np.testing.assert_allclose(hand[name], alike[name], atol=0.02)


def test_smoothing_follows_slowly(track, clip):
    _, (_, *raw, _) = track(clip, "--no-smooth", "--no-overlay")
    _, (_, *smooth, _) = track(clip, "--no-overlay")
    first, last = 2, NUM_FRAMES - 1
    assert smooth[first] == raw[first]
    moved = {
        name: frames[last]["hands"][0]["keypoints_2d"][0][0]
        - frames[first]["hands"][0]["keypoints_2d"][0][0]
        for name, frames in (("raw", raw), ("smooth", smooth))
    }
    assert 0 < moved["smooth"] < moved["raw"]


def test_a_broken_video_costs_only_itself(track, clip, tmp_path, capsys):
    broken = tmp_path / "in" / "broken.mp4"
    broken.write_text("no video")
    code, rows = track(broken, clip, "--no-overlay")
    assert code == 1
    assert rows[-1]["end"] == "complete"
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "broken.mp4: cannot be read" in error


def test_a_video_too_small_for_hands_costs_only_itself(track, clip, tmp_path, capsys):
    small = tmp_path / "in" / "small.mp4"
    with open_video_writer(small, 25) as writer:
        writer.write(np.zeros((6, 6, 3), np.uint8), 0.0)
    code, rows = track(small, clip, "--detector", "none", "--meshes", "--no-overlay")
    assert code == 1
    assert rows[-1] == {"frames": NUM_FRAMES, "end": "complete"}
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "small.mp4: too small to show a hand, 6 x 6 pixels" in error
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"clip.jsonl", "clip"}


def test_an_overlay_that_cannot_be_written_leaves_nothing(
    track, clip, tmp_path, capsys, monkeypatch
):
    def refuse(self, pixels, seconds):
        if seconds > 0.3:  # By then there are meshes.
            raise VideoWriteError("clip.mp4: cannot be written (Invalid argument)")

    frames = track(clip, "--no-overlay")[1]
    out = tmp_path / "out"
    monkeypatch.setattr(VideoWriter, "write", refuse)
    code, rows = track(clip, "--meshes")
    assert code == 1
    error = capsys.readouterr().err
    assert error == "i2uv track: error: clip.mp4: cannot be written (Invalid argument)\n"
    assert rows == frames  # those of the run before
    assert [path.name for path in out.iterdir()] == ["clip.jsonl"]
    (out / "clip").mkdir()
    (out / "clip" / "notes.txt").write_text("the user's own")
    assert track(clip, "--meshes")[0] == 1
    assert [path.name for path in (out / "clip").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("number, expected", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_has_done(track, clip, tmp_path, number, expected):
    code, rows = track(clip, fails_at=6, at_failure=lambda: signal.raise_signal(number))
    assert code == expected
    assert rows[-1]["end"] == "interrupted"
    assert rows[-1]["frames"] == len(rows) - 2 < NUM_FRAMES
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names <= {"clip.jsonl", "clip.mp4"}


def test_results_replace_neither_inputs_nor_each_other(track, clip, tmp_path, capsys, monkeypatch):
    assert main(["track", str(clip), "--out", str(clip.parent)]) == 2
    assert "would be replaced" in capsys.readouterr().err
    monkeypatch.chdir(clip.parent)
    assert main(["track", f"../{clip.parent.name}/{clip.name}", "--out", "."]) == 2
    assert "would be replaced" in capsys.readouterr().err
    other = tmp_path / "clip.mov"
    assert track(clip, other)[0] == 2
    assert "clip.mov: its results would have the names" in capsys.readouterr().err
