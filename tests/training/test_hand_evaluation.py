"""Scores of an evaluation set, from its pictures' errors."""

import numpy as np

from i2uv_jax.training.hand_evaluation import mean_scores


def test_errors_with_told_keypoints_are_means_over_the_hands_that_are_told():
    rows = {
        "vertex_mm": np.array([1.0, 2.0, 6.0, 7.0]),
        "told_vertex_mm": np.array([1.0, 100.0, 3.0, 100.0]),
        "told_share": np.array([1.0, 0.0, 1.0, 0.0]),
    }
    assert mean_scores(rows) == {"vertex_mm": 4.0, "told_vertex_mm": 2.0, "told_share": 0.5}


def test_where_nothing_is_told_there_are_no_such_errors():
    rows = {"vertex_mm": np.array([1.0, 3.0])}
    assert mean_scores(rows) == {"vertex_mm": 2.0}
    told = {"told_vertex_mm": np.array([5.0, 5.0]), "told_share": np.zeros(2)}
    assert mean_scores(rows | told) == {"vertex_mm": 2.0, "told_share": 0.0}


def test_errors_that_are_no_numbers_are_not_hidden():
    rows = {"told_vertex_mm": np.array([np.nan, 5.0]), "told_share": np.ones(2)}
    assert np.isnan(mean_scores(rows)["told_vertex_mm"])
