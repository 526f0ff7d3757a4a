"""Scores of annotated pictures, on cases that a pencil can check."""

from dataclasses import replace

import numpy as np
import pytest

from i2uv_jax.evaluate.answers import NOT_FINITE
from i2uv_jax.evaluate.photos import (
    NO_UNIT,
    NOTHING_VISIBLE,
    failed_photo,
    score_photo,
    summarize,
)
from i2uv_jax.imaging.annotations import Annotation

POINTS = np.stack([np.arange(21.0), 10 + np.arange(21.0) % 5], axis=1)


def annotated(file="a.png", visible=1, **others) -> Annotation:
    keypoints = np.column_stack([POINTS, np.full(21, visible)])
    return Annotation(file, keypoints_2d=keypoints, **others)


def test_errors_are_shares_of_the_box():
    annotation = annotated(box_xywh=(0.0, 0.0, 50.0, 30.0))
    score = score_photo(annotation, "right", POINTS + np.array([3, 4]), np.zeros((21, 3)))
    np.testing.assert_allclose(score.errors, 0.1)
    assert score.mean_error == pytest.approx(0.1)
    assert score.aligned_mm is None


def test_without_a_box_the_keypoints_own_one_is_the_unit():
    # The points lie 20 pixels apart in x, 4 in y.
    score = score_photo(annotated(), "right", POINTS + np.array([0, 5]), np.zeros((21, 3)))
    assert score.mean_error == pytest.approx(0.25)


def test_hidden_keypoints_do_not_count():
    annotation = annotated(box_xywh=(0.0, 0.0, 10.0, 10.0))
    annotation.keypoints_2d[5:, 2] = 0
    predicted = POINTS.copy()
    predicted[5:] += 1000
    assert score_photo(annotation, "left", predicted, np.zeros((21, 3))).mean_error == 0


def test_three_dimensional_errors_forgive_place_turn_and_scale():
    true = np.random.default_rng(0).normal(size=(21, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    annotation = Annotation("a.png", keypoints_3d_mm=true)
    score = score_photo(annotation, "right", POINTS, 3 * true @ turn.T + 7)
    assert score.aligned_mm == pytest.approx(0, abs=1e-5)
    assert score.errors is None


def test_errors_are_split_by_pose_and_by_how_much_is_visible():
    straight, fist = np.zeros((21, 3)), np.zeros((21, 3))
    for first in (1, 5, 9, 13, 17):
        straight[first : first + 4, 0] = [10, 20, 30, 40]
        fist[first : first + 4, :2] = [(10, 0), (20, 0), (20, 10), (10, 10)]
    near = annotated("a.png", box_xywh=(0.0, 0.0, 50.0, 50.0), keypoints_3d_mm=straight)
    half = annotated("b.png", box_xywh=(0.0, 0.0, 50.0, 50.0), keypoints_3d_mm=fist)
    half.keypoints_2d[10:, 2] = 0
    scores = [
        score_photo(near, "right", POINTS + np.array([5, 0]), straight),
        score_photo(half, "right", POINTS + np.array([10, 0]), fist),
        failed_photo(annotated("c.png"), "right", "gone"),
    ]
    groups = summarize(scores)["groups"]
    share = groups["visible share of keypoints"]
    assert share["more visible"]["error_over_box"] == pytest.approx(0.1)
    assert (share["more visible"]["pictures"], share["more visible"]["found"]) == (2, 1)
    assert share["up to two thirds visible"]["error_over_box"] == pytest.approx(0.2)
    assert list(groups["pose"]) == ["straight fingers", "bent"]
    assert groups["pose"]["bent"]["aligned_keypoint_mm"] == pytest.approx(0, abs=1e-4)


def numbers(value):
    """All numbers in a summary, however deep."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for part in inner for number in numbers(part)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("with_another", [True, False])
def test_a_picture_without_visible_keypoints_is_named_and_not_counted(with_another):
    hidden = annotated("hidden.png", visible=0)
    scores = [
        score_photo(hidden, "right", POINTS, None),
        failed_photo(replace(hidden, file="failed.png"), "right", "gone"),
    ]
    assert scores[0].mean_error is None and scores[0].visible_share == 0
    if with_another:
        scores.append(score_photo(annotated(), "right", POINTS, None))
    summary = summarize(scores)
    assert summary["ground_truth_problems"] == {NOTHING_VISIBLE: ["hidden.png", "failed.png"]}
    assert summary["with_keypoints_2d"] == int(with_another)
    assert summary["within_0.1_of_box"] == (1 if with_another else None)
    assert np.isfinite(numbers(summary)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("in_space", [True, False])
def test_a_prediction_that_is_not_finite_is_a_miss(value, in_space):
    true = np.random.default_rng(0).normal(size=(21, 3))
    annotation = annotated(box_xywh=(0.0, 0.0, 50.0, 30.0), keypoints_3d_mm=true)
    points = [POINTS.copy(), true.copy()]
    points[in_space][3, 1] = value
    scores = [
        score_photo(annotation, "right", *points),
        score_photo(replace(annotation, file="b.png"), "right", POINTS, true),
    ]
    summary = summarize(scores)
    assert summary["failures"] == {NOT_FINITE: ["a.png"]}
    assert summary == summarize([failed_photo(annotation, "right", NOT_FINITE), scores[1]])
    assert (summary["error_over_box"], summary["within_0.1_of_box"]) == (0, 0.5)
    assert np.isfinite(numbers(summary)).all()


@pytest.mark.parametrize("box", [(5.0, 5.0, 0.0, 0.0), None])
def test_a_hand_without_size_is_a_problem_of_the_truth(box):
    annotation = annotated(box_xywh=box)
    if box is None:
        annotation.keypoints_2d[1:, 2] = 0
    scores = [
        score_photo(annotation, "right", POINTS + 1, None),
        failed_photo(annotation, "right", "gone"),
    ]
    summary = summarize(scores)
    assert summary["ground_truth_problems"] == {NO_UNIT: ["a.png", "a.png"]}
    assert summary["with_keypoints_2d"] == 0 and summary["error_over_box"] is None


def test_failed_pictures_lower_the_shares_and_not_the_mean():
    box = (0.0, 0.0, 100.0, 100.0)
    good = score_photo(
        annotated(box_xywh=box), "right", POINTS + np.array([0, 5]), np.zeros((21, 3))
    )
    failed = failed_photo(annotated("b.png", box_xywh=box), "right", "unreadable")
    summary = summarize([good, failed, failed_photo(Annotation("c.png"), "right", "gone")])
    assert summary["error_over_box"] == pytest.approx(0.05)
    assert summary["within_0.1_of_box"] == 0.5
    # The curve is 0 until a twentieth, then a half, up to three tenths.
    assert summary["auc_of_pck"] == pytest.approx(0.5 * 0.25 / 0.3, abs=0.005)
    assert summary["failed"] == ["b.png", "c.png"]
    assert summary["error_over_box_by_keypoint"]["wrist"] == pytest.approx(0.05)


def test_nothing_to_score_is_no_number():
    summary = summarize([failed_photo(Annotation("a.png"), "right", "gone")])
    assert summary["error_over_box"] is None
    assert summary["aligned_keypoint_mm"] is None
