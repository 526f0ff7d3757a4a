"""Procrustes alignment and the errors built on it, against SciPy and known transforms."""

import jax
import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.alignment import align, procrustes_align, scale_and_shift
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


def test_points_without_weight_do_not_count():
    target = random_points(5)
    source = 2 * target + 1
    source[3] += 7.0
    weights = np.ones(len(target))
    weights[3] = 0
    aligned = np.asarray(align(source, target, weights=weights)(source))
    np.testing.assert_allclose(np.delete(aligned - target, 3, axis=0), 0, atol=1e-5)


def hands(seed, count=4):
    """Keypoint-like sets in metres, before a camera."""
    rng = np.random.default_rng(seed)
    return (0.05 * rng.normal(size=(count, 21, 3)) + [0.0, 0.0, 0.7]).astype(np.float32)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_with_reflections_it_is_scipy_s_orthogonal_procrustes(is_mirrored):
    target = hands(6)
    source = 1.2 * hands(6) * [-1 if is_mirrored else 1, 1, 1] + 0.3 * hands(7)
    aligned = procrustes_align(source, target, reflect=True)
    for i in range(len(target)):
        # As FreiHAND's evaluation is described: both sets centred and of unit norm.
        own, other = (x[i].astype(np.float64) for x in (target, source))
        own, other = own - own.mean(0), other - other.mean(0)
        size = np.linalg.norm(own)
        turn, scale = orthogonal_procrustes(own / size, other / np.linalg.norm(other))
        expected = other / np.linalg.norm(other) @ turn.T * scale * size + target[i].mean(0)
        np.testing.assert_allclose(aligned[i], expected, atol=1e-6)
    turned_back = np.linalg.det(align(source, target, reflect=True).rotation)
    np.testing.assert_allclose(turned_back, -1 if is_mirrored else 1, atol=1e-5)


def test_other_points_move_along():
    target, source = hands(8), 2 * hands(8) + np.float32(0.1)
    alignment = align(source[:, :15], target[:, :15])
    np.testing.assert_allclose(alignment(source), target, atol=1e-6)


def test_scale_and_shift_by_hand():
    # The bone is 4 long and becomes 2; its start goes to (1, 1, 1).
    source = np.array([[0.0, 0, 0], [0, 4, 0], [2, 0, 0]])
    target = np.array([[1.0, 1, 1], [1, 1, 3], [9, 9, 9]])
    moved = scale_and_shift(source, target, root=0, other=1)
    np.testing.assert_allclose(moved, [[1, 1, 1], [1, 3, 1], [2, 1, 1]])
    # Without a length of its own it is scaled by the target's.
    source[1] = 0
    moved = scale_and_shift(source, target, root=0, other=1)
    np.testing.assert_allclose(moved, [[1, 1, 1], [1, 1, 1], [5, 1, 1]])


@pytest.mark.parametrize("reflect", [False, True])
def test_points_on_a_line_align_as_the_line_does(reflect):
    # Target along z, as long as the source along x: only the line's direction is certain.
    along = np.linspace(-1, 1, 5)[:, None]
    source, target = along * [1.0, 0, 0], 3 * along * [0.0, 0, 1] + 5
    np.testing.assert_allclose(procrustes_align(source, target, reflect=reflect), target, atol=1e-5)


def test_coinciding_points_align_to_the_mean_and_nan_stays_in_its_set():
    target = hands(9, count=2)
    source = target.copy()
    source[0] = 7
    np.testing.assert_allclose(
        procrustes_align(source, target)[0], np.tile(target[0].mean(0), (21, 1)), atol=1e-6
    )
    source[0, 3] = np.nan
    aligned = np.asarray(procrustes_align(source, target))
    assert np.isnan(aligned[0]).all()
    np.testing.assert_allclose(aligned[1], target[1], atol=1e-6)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("coinciding", ["target", "both"])
def test_onto_one_point_everything_shrinks_to_it(coinciding, reflect):
    target = np.full((21, 3), 0.3, np.float32)
    source = hands(10, count=1)[0] if coinciding == "target" else target + np.float32(0.1)
    aligned = procrustes_align(source, target, reflect=reflect)
    np.testing.assert_allclose(aligned, target, atol=1e-6)


def test_mean_position_error_by_hand():
    # Distances 5 (3-4-5 triangle) and 0: mean 2.5.
    predicted = np.array([[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
    true = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert float(mean_position_error(predicted, true)) == 2.5
