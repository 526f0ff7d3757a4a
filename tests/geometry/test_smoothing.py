"""Smoothing of UV maps: planes stay, inside and at the chart's border; noise goes."""

import numpy as np
import pytest

from i2uv_jax.geometry.smoothing import build_smoothing, smooth_uv_map

SIZE = 24


@pytest.fixture
def mask():
    """A disc with a notch."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    disc = (rows - 11) ** 2 + (columns - 12) ** 2 < 81
    return disc & ~((np.abs(columns - 12) < 2) & (rows < 9))


@pytest.mark.parametrize("sigma", [0.4, 0.8, 2.5])
def test_planes_stay_as_they_are_up_to_the_border(mask, sigma):
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    planes = np.stack([np.full_like(rows, 3.0), 0.1 * rows - 0.3 * columns, rows], axis=-1)
    smoothed = smooth_uv_map(build_smoothing(mask, sigma), planes)
    np.testing.assert_allclose(smoothed[mask], planes[mask], atol=2e-4)


def test_what_lies_outside_the_chart_hardly_counts(mask):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(SIZE, SIZE, 1)).astype(np.float32)
    other = np.where(mask[..., None], values, 5.0).astype(np.float32)
    tables = build_smoothing(mask, 0.8)
    difference = np.abs(smooth_uv_map(tables, values) - smooth_uv_map(tables, other))[mask]
    assert difference.max() < 0.06  # a hundredth of what changed
    assert difference.mean() < 2e-3


def test_inside_it_is_the_gaussian_mean():
    values = np.zeros((SIZE, SIZE, 1), np.float32)
    values[12, 12] = 1
    smoothed = smooth_uv_map(build_smoothing(np.ones((SIZE, SIZE), bool), 1.0), values)
    kernel = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    kernel /= kernel.sum()
    np.testing.assert_allclose(smoothed[9:16, 9:16, 0], np.outer(kernel, kernel), atol=1e-6)


def test_a_width_of_zero_is_refused(mask):
    with pytest.raises(ValueError, match="must be positive, got 0"):
        build_smoothing(mask, 0)
