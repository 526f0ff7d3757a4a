"""Hands keep their number and side over frames, and smoothing takes noise, not motion."""

from dataclasses import replace

import numpy as np
import pytest

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.tracking import HandSmoother, HandTracker, OneEuroFilter

STEP_S = 1 / 30


def hand_at(x, side="right", y=100.0, score=0.9):
    return DetectedHand((x - 50, y - 50, x + 50, y + 50), side, score)


def tracks(frames, step_s=STEP_S):
    tracker = HandTracker()
    return [
        [(hand.track, hand.handedness) for hand in tracker.update(number * step_s, hands)]
        for number, hands in enumerate(frames)
    ]


def test_hands_that_pass_each_other_keep_their_numbers():
    places = np.linspace(0, 300, 31)
    frames = [[hand_at(x, "left", y=90), hand_at(300 - x, "right", y=110)] for x in places]
    assert tracks(frames) == [[(1, "left"), (2, "right")]] * 31


def test_the_order_of_detections_does_not_matter():
    frames = [[hand_at(0), hand_at(500)], [hand_at(505), hand_at(5)]]
    assert tracks(frames) == [[(1, "right"), (2, "right")], [(2, "right"), (1, "right")]]


def test_a_hand_out_of_reach_is_another():
    assert tracks([[hand_at(0)], [hand_at(300)]]) == [[(1, "right")], [(2, "right")]]


def test_a_hand_is_itself_after_a_short_gap_and_another_after_a_long_one():
    short, long = 9, 18  # 0.3 s and 0.6 s
    frames = [[hand_at(0)], *[[]] * short, [hand_at(0)], *[[]] * long, [hand_at(0)]]
    assert [hand for hands in tracks(frames) for hand in hands] == [
        (1, "right"),
        (1, "right"),
        (2, "right"),
    ]


def test_a_hand_keeps_its_number_however_rare_frames_are():
    assert tracks([[hand_at(x)] for x in (0, 20, 40)], step_s=2.0) == [[(1, "right")]] * 3


def test_a_frame_s_wrong_side_does_not_count():
    sides = ["left"] * 5 + ["right"] + ["left"] * 5
    assert tracks([[hand_at(0, side)] for side in sides]) == [[(1, "left")]] * 11
    # But what is seen from then on does.
    sides = ["left"] * 5 + ["right"] * 20
    assert tracks([[hand_at(0, side)] for side in sides])[-1] == [(1, "right")]


def filtered(points, size=1.0):
    smooth = OneEuroFilter(0.0, points[0])
    return np.stack(
        [smooth(number * STEP_S, frame, size) for number, frame in enumerate(points[1:], start=1)]
    )


def test_noise_at_rest_is_halved_and_rest_stays():
    noise = np.random.default_rng(0).normal(size=(300, 21, 3))
    assert filtered(0.003 * noise)[30:].std() < 0.5 * 0.003
    still = np.ones((10, 21, 3))
    np.testing.assert_allclose(filtered(still), 1)


def test_fast_motion_lags_less_than_a_frame():
    times = np.arange(60) * STEP_S
    moving = np.broadcast_to(5 * times[:, None, None], (60, 21, 3))  # 5 hand sizes a second
    lag_s = (moving[-1] - filtered(moving)[-1]).mean() / 5
    assert 0 < lag_s < STEP_S


@pytest.fixture(scope="module")
def prediction():
    hand = load_hand()
    vertices = 1000 * np.asarray(hand.template)
    keypoints = hand.keypoint_regressor @ vertices
    return HandPrediction(
        uv_map=np.zeros((4, 4, 3)),
        vertices_mm=vertices,
        vertices_2d=vertices[:, :2],
        faces=hand.faces,
        keypoints_3d_mm=keypoints,
        keypoints_2d=keypoints[:, :2],
        crop_xyxy=np.array([0, 0, 100, 100]),
        handedness="right",
    )


def test_smoothed_keypoints_are_those_of_the_smoothed_mesh(prediction):
    smoother, hand = HandSmoother(), load_hand()
    rng = np.random.default_rng(0)
    for number in range(5):
        noise = rng.normal(size=prediction.vertices_mm.shape)
        vertices = prediction.vertices_mm + noise
        frame = replace(
            prediction, vertices_mm=vertices, keypoints_3d_mm=hand.keypoint_regressor @ vertices
        )
        smoothed = smoother(number * STEP_S, 1, frame)
    assert np.abs(smoothed.vertices_mm - vertices).max() > 0.5
    own = hand.keypoint_regressor @ smoothed.vertices_mm
    np.testing.assert_allclose(smoothed.keypoints_3d_mm, own, atol=1e-6)


def test_tracks_are_smoothed_apart_and_start_as_they_are(prediction):
    smoother = HandSmoother()
    moved = replace(prediction, vertices_mm=prediction.vertices_mm + 50)
    assert smoother(0.0, 1, prediction) is prediction
    assert smoother(STEP_S, 2, moved) is moved
    np.testing.assert_array_equal(smoother(3 * STEP_S, 3, moved).vertices_mm, moved.vertices_mm)
    # After a gap nothing is left of what was before.
    np.testing.assert_array_equal(smoother(9.0, 2, prediction).vertices_mm, prediction.vertices_mm)


def test_rare_frames_are_smoothed_too(prediction):
    smoother = HandSmoother()
    assert smoother(0.0, 1, prediction) is prediction
    moved = replace(prediction, vertices_mm=prediction.vertices_mm + 50)
    between = smoother(0.6, 1, moved).vertices_mm
    assert (prediction.vertices_mm < between).all() and (between < moved.vertices_mm).all()
