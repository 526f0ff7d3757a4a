"""Amplitude mixing against the full Fourier transform, and where it must change nothing."""

import jax
import numpy as np
import pytest

from i2uv_jax.render.spectrum import mix_amplitudes


def pictures(first: int = 32, second: int = 32):
    rng = np.random.default_rng(0)
    return tuple(rng.uniform(size=(size, size, 3)).astype(np.float32) for size in (first, second))


@pytest.mark.parametrize("cycles", [0, 3])
def test_agrees_with_the_full_transform(cycles):
    image, reference = pictures()
    spectrum = np.fft.fft2(image, axes=(0, 1))
    wanted = np.abs(np.fft.fft2(reference, axes=(0, 1)))
    frequency = np.abs(np.fft.fftfreq(32) * 32)
    low = (frequency[:, None] <= cycles) & (frequency <= cycles)
    amplitude = np.abs(spectrum)
    amplitude[low] += 0.6 * (wanted - amplitude)[low]
    expected = np.fft.ifft2(amplitude * np.exp(1j * np.angle(spectrum)), axes=(0, 1)).real
    mixed = jax.jit(lambda *pair: mix_amplitudes(*pair, 0.6, cycles=cycles))(image, reference)
    np.testing.assert_allclose(mixed, expected, atol=1e-4)


def test_share_zero_and_own_amplitudes_change_nothing():
    image, reference = pictures()
    np.testing.assert_array_equal(mix_amplitudes(image, reference, 0.0, cycles=4), image)
    np.testing.assert_allclose(mix_amplitudes(image, image, 1.0, cycles=4), image, atol=1e-5)


def test_sizes_may_differ_and_black_stays_finite():
    image, reference = pictures(32, 16)
    mixed = mix_amplitudes(image, reference, 1.0, cycles=0)
    np.testing.assert_allclose(mixed.mean(axis=(0, 1)), reference.mean(axis=(0, 1)), atol=1e-4)
    assert np.isfinite(mix_amplitudes(0 * image, reference, 1.0, cycles=2)).all()
