"""Scores against hand-computed cases and independent implementations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from i2uv_jax.metrics import (
    acceleration,
    acceleration_error,
    area_under_curve,
    f_scores,
    nearest_distances,
    point_distances,
    share_within,
)


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


def test_distances_from_the_nearest_are_a_k_d_tree_s_for_every_set_of_a_batch():
    # Hands in metres, as far from a camera as in FreiHAND.
    rng = np.random.default_rng(0)
    true = (0.05 * rng.normal(size=(3, 300, 3)) + [0, 0, 0.7]).astype(np.float32)
    predicted = (true[:, :250] + 0.004 * rng.normal(size=(3, 250, 3))).astype(np.float32)
    to_true, to_predicted = nearest_distances(predicted, true)
    scores = f_scores(predicted, true, (0.004, 0.006))
    for i in range(3):
        there, _ = cKDTree(true[i].astype(np.float64)).query(predicted[i])
        back, _ = cKDTree(predicted[i].astype(np.float64)).query(true[i])
        np.testing.assert_allclose(to_true[i], there, atol=1e-6)
        np.testing.assert_allclose(to_predicted[i], back, atol=1e-6)
        for score, threshold in zip(scores[i], (0.004, 0.006), strict=True):
            precision, recall = np.mean(there < threshold), np.mean(back < threshold)
            expected = 2 * precision * recall / (precision + recall)
            assert 0.05 < expected < 0.95
            assert score == pytest.approx(expected, abs=1e-6)


def test_f_score_by_hand():
    # Of the predicted points one of two is near a true one, of the true ones one of four:
    # 2 * 1/2 * 1/4 / (3/4) = 1/3. Exactly at the threshold is not near.
    predicted = jnp.array([[0.0, 0, 0], [9, 0, 0]])
    true = jnp.array([[0.25, 0, 0], [4, 0, 0], [5, 0, 0], [6, 0, 0]])
    np.testing.assert_allclose(f_scores(predicted, true, (0.25, 0.3)), [0, 1 / 3], rtol=1e-6)


def test_f_score_of_points_that_coincide_or_lie_on_a_line():
    # Five points in one place near the first of two: all precise, half of the truth recalled.
    one_place, two = jnp.zeros((5, 3)), jnp.array([[0.1, 0, 0], [2, 0, 0]])
    np.testing.assert_allclose(f_scores(one_place, two, (0.2,)), [2 / 3], rtol=1e-6)
    # On a line, moved along it by half of the points' distance: all or nothing.
    line = jnp.arange(8.0)[:, None] * jnp.array([1.0, 2, 2])
    moved = line + 0.5 * jnp.array([1.0, 2, 2])
    np.testing.assert_allclose(f_scores(moved, line, (1.4, 1.6)), [0, 1], rtol=1e-6)


@pytest.mark.parametrize("predicted", [jnp.zeros((4, 3)), jnp.full((4, 3), jnp.nan)])
def test_f_score_of_points_far_away_or_not_a_number_is_zero(predicted):
    assert f_scores(predicted, jnp.ones((5, 3)), (0.1,)) == 0


def test_errors_in_a_picture_are_distances_too():
    np.testing.assert_allclose(point_distances(jnp.array([[3.0, 4]]), jnp.zeros((1, 2))), [5])


def test_acceleration_of_a_parabola_is_its_second_derivative():
    # x = 3 t^2 accelerates by 6; a straight motion by nothing, and both differ by 6.
    time = np.arange(5) / 10
    thrown = np.stack([3 * time**2, 0 * time, 0 * time], axis=-1)[:, None]
    straight = np.stack([time, 2 * time, 0 * time], axis=-1)[:, None]
    np.testing.assert_allclose(acceleration(thrown, 10), np.full((3, 1), 6), rtol=1e-4)
    np.testing.assert_allclose(acceleration(straight, 10), np.zeros((3, 1)), atol=1e-4)
    np.testing.assert_allclose(acceleration_error(thrown, straight, 10), 6, rtol=1e-4)


def test_accelerations_are_those_of_a_fitted_parabola_and_nan_stays_where_it_is():
    rng = np.random.default_rng(1)
    points, others = 0.1 * rng.normal(size=(2, 7, 21, 3))
    points[4, 3] = np.nan
    rate = 30.0

    def second_derivatives(path):
        """Twice the leading coefficients of the parabolas through three frames each."""
        time = np.arange(3) / rate
        flat = path.reshape(len(path), -1)
        fits = [2 * np.polyfit(time, flat[i : i + 3], 2)[0] for i in range(len(path) - 2)]
        return np.linalg.norm(np.reshape(fits, (-1, *path.shape[1:])), axis=-1)

    whole = np.arange(21) != 3
    with jax.enable_x64(True):
        found = np.asarray(acceleration(points, rate))
        error = np.asarray(acceleration_error(points, others, rate))[:, whole]
    np.testing.assert_allclose(found[:, whole], second_derivatives(points[:, whole]), rtol=1e-6)
    assert np.isnan(found[:, 3]).tolist() == [False, False, True, True, True]
    np.testing.assert_allclose(error, second_derivatives((points - others)[:, whole]), rtol=1e-6)
