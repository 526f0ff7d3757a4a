"""The camera: what each step conserves, and that strengths switch them off."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import SensorConfig
from i2uv_jax.render.sensor import (
    apply_sensor,
    blur_and_sample,
    convolve,
    gaussian_rows,
    pixel_noise,
    shake_kernel,
    sharpen,
)

STILL = SensorConfig(
    motion_share=0, defocus=0, coarse_share=0, noise=0, exposure=0, tint=0, contrast=0,
    vignetting=0, sharpening=0, jpeg_share=0,
)  # fmt: skip
"""A camera that does nothing, step by step."""


def picture(size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, (size, size, 3)).astype(np.float32)


def run(config: SensorConfig, image: np.ndarray) -> np.ndarray:
    sensor = jax.jit(lambda key, image: apply_sensor(key, image, config))
    return np.asarray(sensor(jax.random.key(3), image))


@pytest.mark.parametrize("config", [SensorConfig(strength=0), STILL])
def test_without_strength_the_picture_stays(config):
    image = picture()
    np.testing.assert_allclose(run(config, image), image, atol=1e-4)


def test_same_key_same_picture_within_range():
    image = picture()
    keys = jax.random.split(jax.random.key(1), 8)
    sensor = jax.jit(jax.vmap(lambda key: apply_sensor(key, image)))
    first = np.asarray(sensor(keys))
    np.testing.assert_array_equal(first, sensor(keys))
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.abs(first[0] - first[1]).mean() > 0.01


@pytest.mark.parametrize(
    "change",
    [
        {"motion_share": 1.0},
        {"defocus": 0.05},
        {"coarse_share": 1.0},
        {"noise": 0.1},
        {"exposure": 0.3},
        {"tint": 1.0},
        {"contrast": 0.3},
        {"vignetting": 0.5},
        {"sharpening": 1.0},
        {"jpeg_share": 1.0},
    ],
)
def test_every_step_does_something(change):
    image = picture()
    assert np.abs(run(replace(STILL, **change), image) - image).mean() > 1e-3


def test_sharpening_overshoots_beside_an_edge_and_leaves_slopes():
    # A blur by (1 0 2 0 1) / 4 makes 0 0 0 1 1 1 into 0 1/4 1/4 3/4 3/4 1.
    edge = np.tile(np.repeat([0.0, 1.0], 3), (4, 3, 1)).astype(np.float32)
    expected = [0, -0.5, -0.5, 1.5, 1.5, 1]
    np.testing.assert_allclose(sharpen(edge, 2.0)[1, 0], expected, atol=1e-6)
    slope = np.tile(np.arange(7, dtype=np.float32), (4, 3, 1))
    np.testing.assert_allclose(sharpen(slope, 2.0)[..., 2:-2], slope[..., 2:-2], atol=1e-5)


def test_any_size_goes_through():
    assert jax.eval_shape(apply_sensor, jax.random.key(0), picture(40)).shape == (40, 40, 3)


def test_blurs_conserve_the_mean():
    path = np.float32([[-1.5, 0.3], [0, 0], [9, -0.4]])
    kernel = shake_kernel(path)
    np.testing.assert_allclose(kernel.sum(), 1, atol=1e-6)
    # A dot far from the border keeps its light, wherever it goes.
    dot = np.zeros((21, 1, 21), np.float32)
    dot[10, 0, 10] = 1
    np.testing.assert_allclose(
        jax.jit(convolve, static_argnames="spacing")(dot, kernel, spacing=2).sum(), 1, atol=1e-5
    )
    rows = gaussian_rows(jnp.arange(21.0), jnp.float32(1.5), 21)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((rows @ dot[:, 0] @ rows.T).sum(), 1, atol=1e-3)


def test_shake_moves_along_its_path():
    # All time at one pixel to the right, half a pixel down.
    kernel = shake_kernel(np.float32([[1, 0.5]]))
    expected = np.zeros((5, 5))
    expected[2, 3] = expected[3, 3] = 0.5
    np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_gaussian_rows_without_width_pick_pixels():
    np.testing.assert_allclose(gaussian_rows(jnp.arange(9.0), jnp.float32(0), 9), np.eye(9))


def test_noise_is_white_with_unit_variance():
    noise = np.asarray(pixel_noise(jax.random.key(0), (128, 3, 128)))
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)
    for axis in range(3):
        ahead, behind = np.moveaxis(noise, axis, 0)[1:], np.moveaxis(noise, axis, 0)[:-1]
        assert np.mean(ahead * behind) == pytest.approx(0, abs=0.02)
    assert np.abs(pixel_noise(jax.random.key(1), (128, 3, 128)) - noise).mean() > 0.5


def test_windows_hold_all_weights_that_count():
    image = np.swapaxes(picture(96), 1, 2)
    centres = 1.7 * np.arange(96, dtype=np.float32) - 11
    resampled = blur_and_sample(image, centres, np.float32(2.5), 2.5, step=1.7)
    rows = gaussian_rows(centres, np.float32(2.5), 96)
    expected = np.einsum("iy,ycx,jx->icj", rows, image, rows)
    np.testing.assert_allclose(resampled, expected, atol=1e-5)
