"""Boxes, candidates and scores on cases worked out by hand."""

import numpy as np
import pytest

from i2uv_jax.detection.boxes import (
    FoundBoxes,
    intersection_over_smaller,
    intersection_over_union,
    pick_boxes,
    square_boxes,
    suppress_overlapping,
)
from i2uv_jax.detection.scores import TrueBoxes, detection_scores


def test_overlaps_of_squares_by_hand():
    boxes = square_boxes(np.array([[1.0, 1.0], [2.0, 1.0], [9.0, 9.0]]), np.array([2.0, 2.0, 1.0]))
    np.testing.assert_allclose(boxes[0], [0, 0, 2, 2])
    # Two squares of area 4 that share 2 of it: 2 / (4 + 4 - 2).
    np.testing.assert_allclose(
        intersection_over_union(boxes, boxes), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]
    )
    # Of a square that lies in another all is shared, whatever that other's size.
    inner = np.array([[0.5, 0.5, 1.5, 1.0]])
    np.testing.assert_allclose(intersection_over_smaller(boxes, inner), [[1], [0.5], [0]])


def test_of_overlapping_boxes_the_better_ones_stay():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], float)
    scores = np.array([0.5, 0.9, 0.4])
    assert suppress_overlapping(boxes, scores, 0.6).tolist() == [1, 2]
    assert suppress_overlapping(boxes, scores, 0.95).tolist() == [1, 0, 2]


def test_unlikely_candidates_are_no_hands():
    centre, side = np.array([[0.2, 0.2], [0.8, 0.8]]), np.array([0.1, 0.2])
    found = pick_boxes(centre, side, np.array([0.2, 0.9]), np.array([0.9, 0.1]), min_score=0.3)
    np.testing.assert_allclose(found.boxes, [[0.7, 0.7, 0.9, 0.9]])
    assert found.is_left.tolist() == [False]
    assert len(pick_boxes(centre, side, np.zeros(2), np.ones(2)).boxes) == 0


def unit_boxes(*corners):
    return np.array([[x, y, x + 1, y + 1] for x, y in corners], float).reshape(-1, 4)


def test_average_precision_by_hand():
    true = [
        TrueBoxes(unit_boxes((0, 0), (5, 5)), np.array([True, False]), np.array([False, False])),
        TrueBoxes(unit_boxes((0, 0), (3, 3)), np.array([True, True]), np.array([False, True])),
    ]
    found = [
        # A hit, then a miss.
        FoundBoxes(unit_boxes((0, 0), (9, 9)), np.array([0.9, 0.8]), np.array([True, True])),
        # A hit of the wrong side, the same hand once more, and a doubtful one that does not count.
        FoundBoxes(
            unit_boxes((0, 0), (0.1, 0), (3, 3)),
            np.array([0.7, 0.6, 0.95]),
            np.array([False, False, True]),
        ),
    ]
    scores = detection_scores(found, true)
    # By score: hit (1/1), miss (1/2), hit (2/3), miss (2/4); three hands. Precision is made to
    # fall, so recall 1/3 is had at precision 1 and 2/3 at 2/3: 1/3 + 1/3 * 2/3.
    assert scores["average_precision"] == pytest.approx(1 / 3 + 2 / 9)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["side_accuracy"] == 0.5


def test_nothing_found_and_nothing_there_scores_nothing():
    nothing = FoundBoxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool))
    empty = TrueBoxes(np.zeros((0, 4)), np.zeros(0, bool), np.zeros(0, bool))
    alone = FoundBoxes(unit_boxes((0, 0)), np.array([0.5]), np.array([True]))
    for found in (nothing, alone):
        assert set(detection_scores([found], [empty]).values()) == {0.0}
