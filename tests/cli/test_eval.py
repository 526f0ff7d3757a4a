"""`i2uv eval photos` from the command line on: files, numbers, complaints."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.detection import mediapipe_hands
from i2uv_jax.evaluate import photo_answers
from i2uv_jax.evaluate.photo_answers import PhotoAnswer
from i2uv_jax.inference import hand_detector
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.predictor import load_model
from i2uv_jax.models.model_files import file_fingerprint


@pytest.fixture
def folder(tmp_path, write_photo):
    """Two pictures and their annotations: one with keypoints, one without."""
    write_photo("a.jpg", 80, 60).rename(tmp_path / "a.jpg")
    write_photo("b_l.jpg", 60, 80).rename(tmp_path / "b_l.jpg")
    return tmp_path


def annotate(folder, *entries):
    (folder / "annotations.json").write_text(json.dumps(entries))


def score(folder, tiny_model_path, *words) -> int:
    words = words if {"--detector", "mediapipe"} & {*words} else (*words, "--detector", "none")
    return main(
        ["eval", "photos", str(folder), "--out", str(folder / "out"), "--model",
         str(tiny_model_path), *words]
    )  # fmt: skip


@pytest.mark.usefixtures("fast_network")
def test_a_model_s_own_keypoints_have_no_error(folder, tiny_model_path, capsys):
    box = [10, 10, 40, 40]
    picture = np.asarray(Image.open(folder / "a.jpg"))
    own = load_model(tiny_model_path, batch_size=1)(picture, box_xyxy=(10, 10, 50, 50))
    keypoints = np.column_stack([own.keypoints_2d, np.ones(21)]).tolist()
    annotate(
        folder,
        {"file": "a.jpg", "box_xywh": box, "keypoints_2d": keypoints,
         "keypoints_3d": own.keypoints_3d_mm.tolist()},
        {"file": "b_l.jpg", "box_xywh": None},
    )  # fmt: skip
    assert score(folder, tiny_model_path, "--left", "*_l.jpg") == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["pictures"] == 2
    assert metrics["error_over_box"] == pytest.approx(0, abs=1e-4)
    assert metrics["within_0.1_of_box"] == 1
    assert metrics["aligned_keypoint_mm"] == pytest.approx(0, abs=1e-3)
    rows = list(csv.DictReader((folder / "out/samples.csv").read_text().splitlines()))
    assert [(row["file"], row["hand"]) for row in rows] == [("a.jpg", "right"), ("b_l.jpg", "left")]
    with Image.open(folder / "out/overlays.png") as overlays:
        assert overlays.width > 2 * 192
    with Image.open(folder / "out/worst.png") as worst:
        assert worst.width == 192, "the one picture whose error is known"
    assert metrics["model_file"] == file_fingerprint(tiny_model_path)
    assert "within 10 % of box   100.0 %" in capsys.readouterr().out


@pytest.mark.usefixtures("fast_network")
def test_bad_pictures_are_named_and_the_others_still_scored(folder, tiny_model_path, capsys):
    (folder / "broken.png").write_bytes(b"no picture")
    annotate(
        folder,
        {"file": "a.jpg"},
        {"file": "broken.png"},
        {"file": "missing.png"},
        {"file": "b_l.jpg", "box_xywh": [500, 500, 10, 10]},
    )
    assert score(folder, tiny_model_path) == 1
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["failed"] == ["b_l.jpg", "broken.png", "missing.png"]
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 3
    assert all(any(name in line for line in errors) for name in metrics["failed"])


@pytest.mark.usefixtures("fast_network")
def test_pictures_of_an_earlier_evaluation_do_not_stay_beside_new_numbers(folder, tiny_model_path):
    points = [[10 + i, 20, 1] for i in range(21)]
    annotate(folder, {"file": "a.jpg", "keypoints_2d": points})
    assert score(folder, tiny_model_path) == 0
    (folder / "out/mine.png").write_bytes(b"mine")
    (folder / "none.json").write_text("[]")
    words = ["eval", "photos", str(folder), "--out", str(folder / "out")]
    assert main([*words, "--pred", str(folder / "none.json")]) == 0
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"metrics.json", "samples.csv", "report.html", "mine.png"}


@pytest.mark.usefixtures("fast_network")
def test_a_device_that_fails_is_one_line(folder, tiny_model_path, monkeypatch, capsys):
    def fails(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nand more")

    monkeypatch.setattr(photo_answers, "_predict", fails)
    annotate(folder, {"file": "a.jpg"})
    assert score(folder, tiny_model_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "i2uv eval: error: the model failed on 1 pictures at once (RESOURCE_EXHAUSTED: Out of "
        "memory); a smaller --batch needs less memory"
    )


def test_another_tool_s_keypoints_from_a_file(folder, capsys):
    points = [[10 + i, 20, 1] for i in range(21)]
    moved = [[x + 4, y, 1] for x, y, _ in points]
    box = [0, 0, 80, 40]
    annotate(
        folder,
        {"file": "a.jpg", "box_xywh": box, "keypoints_2d": points},
        {"file": "b_l.jpg", "keypoints_2d": points},
    )
    predicted = folder / "other.json"
    words = ["eval", "photos", str(folder), "--out", str(folder / "out"), "--pred", str(predicted)]
    predicted.write_text(json.dumps([{"file": "a.jpg", "keypoints_2d": moved}]))
    assert main(words) == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["model"] == "other.json"
    assert metrics["error_over_box"] == pytest.approx(0.05)
    assert metrics["failed"] == ["b_l.jpg"]
    assert metrics["within_0.1_of_box"] == 0.5
    with Image.open(folder / "out/overlays.png") as overlays:
        assert overlays.size == (192, 192)

    predicted.write_text(json.dumps([{"file": "c.jpg"}]))
    assert main(words) == 2
    assert "other.json: c.jpg is none of the annotated pictures" in capsys.readouterr().err


def test_others_results_on_the_same_pictures_stand_in_the_same_report(folder, capsys):
    points = [[10 + i, 20, 1] for i in range(21)]
    annotate(folder, {"file": "a.jpg", "box_xywh": [0, 0, 80, 40], "keypoints_2d": points})

    def evaluate(name, shift, *words) -> int:
        pred = folder / f"{name}.json"
        moved = [[x + shift, y, 1] for x, y, _ in points]
        pred.write_text(json.dumps([{"file": "a.jpg", "keypoints_2d": moved}]))
        return main(["eval", "photos", str(folder), "--out", str(folder / name), "--pred",
                     str(pred), *words])  # fmt: skip

    assert evaluate("first", 4) == 0
    assert evaluate("second", 8, "--beside", str(folder / "first")) == 0
    report = (folder / "second/report.html").read_text()
    assert "<th>second.json</th><th>first.json</th>" in report
    assert "<td>mean error over box, found</td><td>0.100</td><td>0.050</td>" in report
    curves = report.split("share of visible keypoints within a distance")[2].split("</svg>")[0]
    assert curves.count("<polyline") == 2 and ">first.json</text>" in curves
    assert evaluate("first", 4, "--beside", str(folder / "first")) == 0
    assert f"<th>first.json ({folder / 'first'})</th>" in (folder / "first/report.html").read_text()

    capsys.readouterr()
    annotate(folder, {"file": "a.jpg", "box_xywh": [0, 0, 90, 40], "keypoints_2d": points})
    (folder / "second/metrics.json").write_text("{}")
    for other, message in (
        ("first", "first/metrics.json: is of other pictures or annotations"),
        ("second", "second/metrics.json: not of this version's `eval photos`"),
        ("third", "third/metrics.json: no such file"),
    ):
        assert evaluate("fourth", 4, "--beside", str(folder / other)) == 2
        assert message in capsys.readouterr().err
    assert not (folder / "fourth").exists()


def test_wrong_numbers_of_keypoints_and_nan_are_counted_and_named(folder, capsys):
    points = [[10 + i, 20, 1] for i in range(21)]
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    true = [points, points, points[:20], points]
    found = [points, points[:20], points, [[float("nan"), 0, 1]] * 21]
    annotate(folder, *({"file": n, "keypoints_2d": p} for n, p in zip(names, true, strict=True)))
    pred = folder / "other.json"
    entries = [{"file": n, "keypoints_2d": p} for n, p in zip(names, found, strict=True)]
    pred.write_text(json.dumps(entries))
    words = ["eval", "photos", str(folder), "--out", str(folder / "out"), "--pred", str(pred)]
    assert main(words) == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    reason = "expected 21 x 3 numbers as 'keypoints_2d'"
    assert metrics["failures"] == {f"prediction: {reason}": ["b.jpg", "d.jpg"]}
    assert metrics["ground_truth_problems"] == {reason: ["c.jpg"]}
    # Of the three with truth one was found, and has no error.
    assert metrics["with_keypoints_2d"] == 3 and metrics["error_over_box"] == 0
    assert metrics["within_0.1_of_box"] == pytest.approx(1 / 3)
    rows = list(csv.DictReader((folder / "out/samples.csv").read_text().splitlines()))
    assert [row["ground_truth_problem"] for row in rows] == ["", "", reason, ""]
    assert [row["visible_share"] for row in rows] == ["1.000", "1.000", "", "1.000"]
    assert f"ground_truth: {reason}: 1 (c.jpg)" in capsys.readouterr().out
    report = (folder / "out/report.html").read_text()
    assert "Pictures without usable truth" in report
    assert "By visible share of keypoints" in report


@pytest.mark.parametrize("kind", ["keypoints_2d", "keypoints_3d"])
def test_truth_too_large_for_scores_is_none(folder, kind):
    points = [[10 + i, 20 + i**2, 1] for i in range(21)]
    annotate(folder, {"file": "a.jpg", kind: [[1e200, 0, 1], *points[1:]]})
    pred = folder / "other.json"
    pred.write_text(json.dumps([{"file": "a.jpg", kind: points}]))
    words = ["eval", "photos", str(folder), "--out", str(folder / "out"), "--pred", str(pred)]
    assert main(words) == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    reason = f"expected 21 x 3 numbers as '{kind}'"
    assert metrics["ground_truth_problems"] == {reason: ["a.jpg"]}
    assert metrics["error_over_box"] is metrics["aligned_keypoint_mm_over_all"] is None


def test_pictures_that_nothing_is_visible_in_are_named_and_numbers_stay_numbers(folder, capsys):
    hidden = [[10 + i, 20, 0] for i in range(21)]
    annotate(folder, *({"file": name, "keypoints_2d": hidden} for name in ("a.jpg", "b_l.jpg")))
    words = ["eval", "photos", str(folder), "--out", str(folder / "out")]
    pred = folder / "other.json"
    pred.write_text(json.dumps([{"file": "a.jpg", "keypoints_2d": hidden}]))
    assert main([*words, "--pred", str(pred)]) == 0
    text = (folder / "out/metrics.json").read_text()
    assert "NaN" not in text and "nan" not in capsys.readouterr().out
    problems = json.loads(text)["ground_truth_problems"]
    assert problems == {"no keypoint is visible": ["a.jpg", "b_l.jpg"]}


def test_what_a_file_leaves_out_of_some_pictures_is_missed_there(folder, capsys):
    points = [[10 + i, 20, 1] for i in range(21)]
    space = [[i, i**2, 3] for i in range(21)]
    names = ["a.jpg", "b.jpg", "c.jpg"]
    annotate(
        folder,
        *({"file": n, "keypoints_2d": points, "keypoints_3d": space} for n in names[:2]),
        {"file": "c.jpg", "keypoints_2d": points},
    )
    pred = folder / "other.json"
    whole = {"keypoints_2d": points, "keypoints_3d": space}
    words = ["eval", "photos", str(folder), "--out", str(folder / "out"), "--pred", str(pred)]
    pred.write_text(
        json.dumps(
            [
                {"file": "a.jpg", **whole},
                {"file": "b.jpg", "keypoints_2d": points},
                {"file": "c.jpg", "keypoints_2d": points},
            ]
        )
    )
    assert main(words) == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["failures"] == {"prediction: no 'keypoints_3d', which others have": ["b.jpg"]}
    # A hand that is one point is off by more than what was found.
    assert metrics["aligned_keypoint_mm"] == pytest.approx(0, abs=1e-3)
    assert metrics["aligned_keypoint_mm_over_all"] > 10
    assert metrics["with_keypoints_3d"] == 2 and metrics["within_0.1_of_box"] == pytest.approx(
        2 / 3
    )

    pred.write_text(json.dumps([{"file": n, "keypoints_2d": points} for n in names]))
    assert main(words) == 0
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["failures"] == {} and metrics["with_keypoints_3d"] == 0
    capsys.readouterr()


@pytest.mark.parametrize("words", [["--model", "mediapipe"], ["--detector", "mediapipe"]])
@pytest.mark.usefixtures("fast_network")
def test_mediapipe_that_stops_is_one_line(
    folder, tiny_model_path, monkeypatch, tmp_path, capsys, words
):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho \'{"version": "0"}\'; echo out of luck >&2\n')
    program.chmod(0o755)
    monkeypatch.setattr(mediapipe_hands, "_interpreter", lambda python: [str(program)])
    annotate(folder, {"file": "a.jpg"})
    assert score(folder, tiny_model_path, *words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("i2uv eval: error: MediaPipe") and line.endswith("stopped: out of luck")


@pytest.mark.usefixtures("fast_network")
def test_boxes_are_told_unless_the_detector_is_to_find_the_hands(
    folder, tiny_model_path, monkeypatch
):
    class Detector:
        """Sees a left hand at one place of whatever it is shown."""

        def compile(self):
            pass

        def __call__(self, photo):
            return [DetectedHand((20.0, 20.0, 60.0, 60.0), "left", 0.9)]

    monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: Detector())
    points = [[10 + i, 20, 1] for i in range(21)]
    annotate(folder, {"file": "a.jpg", "box_xywh": [10, 10, 40, 40], "keypoints_2d": points})
    rows = {}
    for words, name in ((), "told by palm"), (("--find",), "found by palm"):
        assert score(folder, tiny_model_path, "--detector", "palm", *words) == 0
        metrics = json.loads((folder / "out/metrics.json").read_text())
        assert metrics["model"].endswith(f", {name}")
        (rows[words],) = csv.DictReader((folder / "out/samples.csv").read_text().splitlines())
        assert rows[words]["hand"] == "left"
    assert rows[()]["error_over_box"] != rows["--find",]["error_over_box"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--find", "--detector", "none"], "--find: --detector none finds no hands"),
        (["--find", "--pred", "x.json"], "--find does nothing without a model of ours (--pred)"),
        (["--detector", "palm", "--pred", "x.json"], "--detector does nothing without a model"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(folder, capsys, words, message):
    assert main(["eval", "photos", str(folder), "--out", str(folder / "out"), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("fast_network")
def test_a_model_s_nan_is_no_hand(folder, tiny_model_path, monkeypatch):
    def predict(predictor, photos, asked):
        return [PhotoAnswer(np.full((21, 2), np.nan), np.zeros((21, 3)), "right") for _ in photos]

    monkeypatch.setattr(photo_answers, "_predict", predict)
    annotate(folder, {"file": "a.jpg"})
    assert score(folder, tiny_model_path) == 1
    metrics = json.loads((folder / "out/metrics.json").read_text())
    assert metrics["failures"] == {"prediction: not all numbers are finite": ["a.jpg"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "annotations.json: no such file"),
        ("[]", "names no picture"),
        ('[{"file": "a.jpg"}, {"file": "a.jpg"}]', "a.jpg is named twice"),
        ('[{"file": "a.jpg", "hand": "both"}]', "expected 'left', 'right' or null"),
        ('[{"file": "a.jpg", "box_xywh": [1, 2]}]', "entry 0 (a.jpg): expected 4 numbers as"),
        (
            '[{"file": "b.jpg"}, {"file": "a.jpg", "box_xywh": [5, 5, 0, 9]}]',
            "entry 1 (a.jpg): expected a width and a height above 0 in 'box_xywh', "
            "got [5, 5, 0, 9]",
        ),
        ('[{"file": "a.jpg", "box_xywh": [9, 9, 8, -8]}]', "above 0 in 'box_xywh'"),
    ],
)
def test_unusable_annotations_are_one_line(folder, tiny_model_path, capsys, text, message):
    if text is not None:
        (folder / "annotations.json").write_text(text)
    assert score(folder, tiny_model_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and "annotations.json" in line
    assert not (folder / "out").exists()


def test_a_byte_order_mark_is_no_harm(folder):
    points = [[10 + i, 20, 1] for i in range(21)]
    text = "\ufeff" + json.dumps([{"file": "a.jpg", "keypoints_2d": points}])
    for name in ("annotations.json", "other.json"):
        (folder / name).write_text(text, encoding="utf-8")
    words = ["eval", "photos", str(folder), "--out", str(folder / "out")]
    assert main([*words, "--pred", str(folder / "other.json")]) == 0
    assert json.loads((folder / "out/metrics.json").read_text())["error_over_box"] == 0
