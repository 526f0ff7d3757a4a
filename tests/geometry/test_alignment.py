"""Procrustes alignment and the errors built on it, against SciPy and known transforms."""

import jax
import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.alignment import procrustes_align
from i2uv_jax.metrics import aligned_position_error, mean_position_error


def random_points(seed, count=21):
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_undoes_a_similarity():
    with jax.enable_x64(True):
        target = random_points(0)
        rotation = Rotation.from_euler("xyz", [0.3, -1.2, 2.5]).as_matrix()
        source = 0.37 * target @ rotation.T + [5.0, -2.0, 1.0]
        np.testing.assert_allclose(procrustes_align(source, target), target, atol=1e-9)


def test_agrees_with_scipy_where_no_reflection_is_better():
    with jax.enable_x64(True):
        target = random_points(1)
        source = target @ Rotation.from_euler("z", 0.7).as_matrix() + 0.1 * random_points(2)
        # SciPy normalises the target to unit Frobenius norm and reports the summed squares left.
        expected = procrustes(target, source)[2]
        spread = np.sum((target - target.mean(axis=0)) ** 2)
        left = np.sum((procrustes_align(source, target) - target) ** 2) / spread
        np.testing.assert_allclose(left, expected, atol=1e-10)


def test_a_mirrored_hand_stays_mirrored():
    target = random_points(3)
    source = target * [-1, 1, 1]
    assert float(aligned_position_error(source, target)) > 0.2


def test_without_scale_only_moves():
    target = random_points(4)
    aligned = np.asarray(procrustes_align(2 * target, target, scale=False))
    np.testing.assert_allclose(aligned.std(axis=0), 2 * target.std(axis=0), rtol=1e-4)


@pytest.mark.parametrize("source", [np.zeros((5, 3)), np.outer(np.arange(5.0), [1, 2, 3])])
def test_degenerate_points_stay_finite(source):
    target = random_points(5, count=5)
    assert np.isfinite(np.asarray(procrustes_align(source, target))).all()


def test_mean_position_error_by_hand():
    # Distances 5 (3-4-5 triangle) and 0: mean 2.5.
    predicted = np.array([[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
    true = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert float(mean_position_error(predicted, true)) == 2.5
