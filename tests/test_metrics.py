"""Scores against hand-computed cases and independent implementations."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from i2uv_jax.metrics import area_under_curve, f_score, share_within


def test_shares_count_what_is_near_and_what_is_missing():
    errors = jnp.array([[0.1, 0.2], [0.3, jnp.nan]])
    thresholds = jnp.array([0.05, 0.1, 0.25, 1.0])
    np.testing.assert_allclose(share_within(errors, thresholds), [0, 0.25, 0.5, 0.75])
    seen = jnp.array([[True, False], [True, False]])
    np.testing.assert_allclose(share_within(errors, thresholds, seen), [0, 0.5, 0.5, 1])


def test_area_under_a_straight_line_is_half_its_end():
    thresholds = jnp.linspace(2.0, 6.0, 9)
    assert area_under_curve(jnp.ones(9), thresholds) == pytest.approx(1)
    assert area_under_curve((thresholds - 2) / 8, thresholds) == pytest.approx(0.25)


def test_f_score_equals_a_k_d_tree_s():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(300, 3)).astype(np.float32)
    predicted = (true[:250] + 0.05 * rng.normal(size=(250, 3))).astype(np.float32)
    for threshold in (0.06, 0.1):
        precision = np.mean(cKDTree(true).query(predicted)[0] <= threshold)
        recall = np.mean(cKDTree(predicted).query(true)[0] <= threshold)
        expected = 2 * precision * recall / (precision + recall)
        assert 0.05 < expected < 0.95
        assert f_score(predicted, true, threshold) == pytest.approx(expected, abs=1e-6)


def test_f_score_of_sets_far_apart_is_zero():
    assert f_score(jnp.zeros((4, 3)), jnp.ones((5, 3)), 0.1) == 0
