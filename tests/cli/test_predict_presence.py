"""`i2uv predict` with a model that tells presence and confidence: sides, scores, no hand."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.inference import hand_detector, prediction
from i2uv_jax.inference.detected_hand import DetectedHand

# What the stand-in says of a picture with one black and one half grey half.
LIKELY = 1 / (1 + math.exp(-4.5))


@pytest.fixture
def hands_of(tmp_path, telling_model_path, fast_network, monkeypatch):
    """Predicts a picture whose left or right half is bright; gives its hands in the JSON."""

    def predict(bright, *options, found=None):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[:, slice(32) if bright == "left" else slice(32, None)] = 127.5
        photo = tmp_path / "photo.png"
        Image.fromarray(pixels).save(photo)
        detector = type("Detector", (), {"compile": lambda self: None})
        detector.__call__ = lambda self, picture: found
        monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: detector())
        words = ["predict", str(photo), "--out", str(tmp_path / "out"), *options]
        words += ["--model", str(telling_model_path)]
        words += ["--detector", "none" if found is None else "heatmap"]
        assert main(words) == 0
        return json.loads((tmp_path / "out" / "photo.json").read_text())["hands"]

    return predict


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_open_side_is_told_by_the_model(hands_of, side):
    (hand,) = hands_of(side, "--hand", "auto")
    assert hand["handedness"] == side
    assert hand["score"] == hand["presence"] == pytest.approx(LIKELY, abs=0.01)


def test_a_crop_that_shows_neither_hand_gives_none(hands_of, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prediction, "MIN_PRESENCE", 0.995)
    assert hands_of("left", "--hand", "auto") == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"photo.json", "photo.png"}
    assert "no hand found" in capsys.readouterr().out


def test_keypoints_have_their_errors_and_scores(hands_of):
    (hand,) = hands_of("right")
    error_mm = np.array(hand["keypoint_error_mm"])
    # The stand-in expects 0.05 sides of a crop of 64 pixels everywhere, as long as this in space:
    in_space, in_photo = (
        np.linalg.norm(np.subtract(hand[name][12], hand[name][0])[:2])
        for name in ("keypoints_3d", "keypoints_2d")
    )
    np.testing.assert_allclose(error_mm, np.full(21, 0.05 * 64 * in_space / in_photo), rtol=1e-3)
    np.testing.assert_allclose(hand["keypoint_score"], np.exp(-error_mm / 20), atol=1e-3)


def test_panels_are_coloured_by_errors_on_request(hands_of, tmp_path):
    panels = []
    for options in ((), ("--colour", "error")):
        hands_of("right", *options)
        panels.append(np.asarray(Image.open(tmp_path / "out" / "photo.png")).astype(int))
    # The stand-in expects one error everywhere, below 15 mm: no blue meshes, but green to yellow.
    plain, coloured = (panel[60:-60, -200:-60] for panel in panels)
    changed = (plain != coloured).any(axis=-1)
    assert changed.mean() > 0.1
    assert (coloured[changed][:, 1] > coloured[changed][:, 2]).mean() > 0.95


def test_colours_need_a_model_that_tells_errors(tiny_model_path, write_photo, tmp_path, capsys):
    photo = str(write_photo("photo.png"))
    words = ["predict", photo, "--out", str(tmp_path), "--model", str(tiny_model_path)]
    assert main([*words, "--colour", "error"]) != 0
    assert "--colour error: model" in capsys.readouterr().err


def test_the_detector_s_side_holds_and_scores_are_multiplied(hands_of):
    whole = (0.0, 0.0, 64.0, 64.0)
    found = [DetectedHand(whole, "right", 0.5), DetectedHand(whole, "left", 0.9)]
    right, left = hands_of("right", found=found)
    assert (right["handedness"], left["handedness"]) == ("right", "left")
    assert right["score"] == pytest.approx(0.5 * right["presence"], abs=1e-4)
    # Unlikely as it is, somebody said that it is a left one.
    assert left["presence"] < 0.1


def test_a_hand_that_nobody_names_is_a_right_one(hands_of):
    (hand,) = hands_of("left", found=[DetectedHand((0.0, 0.0, 64.0, 64.0), None, 0.5)])
    assert hand["handedness"] == "right"


def test_a_model_that_does_not_tell_cannot_be_asked(tiny_model_path, tmp_path, capsys):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    words = ["predict", str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")]
    assert main([*words, "--model", str(tiny_model_path), "--hand", "auto"]) == 2
    assert "does not tell which hand it sees" in capsys.readouterr().err
