"""The tool beside this package, with a stand-in for MediaPipe that finds what it is told."""

import sys

import numpy as np
import pytest

from i2uv_jax.detection.mediapipe_hands import MediaPipeError, MediaPipeHands

STAND_IN = """
from types import SimpleNamespace as Any

__version__ = "0.0"

def found(place, label, score):
    points = [Any(x=place, y=0.5, z=0.0)] * 21
    world = [Any(x=0.001 * i, y=0.0, z=0.0) for i in range(21)]
    return points, world, Any(classification=[Any(label=label, score=score)])

class Hands:
    def __init__(self, **options):
        print("a line that is no answer")

    def process(self, image):
        if image.min() == 255:
            raise SystemExit("out of luck")
        hands = [found(0.25, "Right", 0.9), found(0.75, "Left", 0.8)] if image.any() else []
        return Any(
            multi_hand_landmarks=[Any(landmark=h[0]) for h in hands] or None,
            multi_hand_world_landmarks=[Any(landmark=h[1]) for h in hands] or None,
            multi_handedness=[h[2] for h in hands] or None,
        )

solutions = Any(hands=Any(Hands=Hands))
"""


@pytest.fixture
def detector(tmp_path, monkeypatch):
    (tmp_path / "mediapipe.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with MediaPipeHands(sys.executable) as running:
        yield running


def test_of_several_hands_the_one_in_the_box_counts(detector):
    photo = np.full((40, 80, 3), 9, np.uint8)
    assert detector.version == "0.0"
    surest = detector(photo, None)
    np.testing.assert_allclose(surest.keypoints_2d, np.tile([20, 20], (21, 1)))
    np.testing.assert_allclose(surest.keypoints_3d_mm[:, 0], np.arange(21))
    asked_for = detector(photo, (50, 0, 70, 40))
    np.testing.assert_allclose(asked_for.keypoints_2d, np.tile([60, 20], (21, 1)))
    assert detector(photo, (0, 0, 10, 10)) is None
    assert detector(np.zeros_like(photo), None) is None
    assert len(detector.seconds) == 4


def test_what_has_stopped_says_so_at_every_call(detector):
    photo = np.full((40, 80, 3), 255, np.uint8)
    for _ in range(2):
        with pytest.raises(MediaPipeError, match="out of luck"):
            detector.all_hands(photo)


def test_what_cannot_be_started_is_one_line(tmp_path, monkeypatch):
    with (
        pytest.raises(ValueError, match="no_python: cannot be started"),
        MediaPipeHands(tmp_path / "no_python"),
    ):
        pass
    (tmp_path / "mediapipe.py").write_text("raise ImportError('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ValueError, match="no such luck"), MediaPipeHands(sys.executable):
        pass
