"""Image statistics on pictures whose values follow from theory or from the back of an envelope."""

import numpy as np
import pytest

from i2uv_jax.data.statistics import (
    LUMINANCE_PERCENTILES,
    colour_statistics,
    compare,
    gradient_statistics,
    luminance_statistics,
    picture_statistics,
    spectrum_statistics,
    wasserstein_distance,
)


def noise(count, size, exponent, seed=0):
    """Gaussian noise whose amplitudes fall with frequency to the power of `exponent`."""
    rng = np.random.default_rng(seed)
    transform = np.fft.fft2(rng.normal(size=(count, size, size)))
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequency[:, None], frequency)
    radius[0, 0] = 1
    return np.fft.ifft2(transform * radius**exponent).real


@pytest.mark.parametrize("exponent", [0.0, -1.0, -1.5])
def test_spectrum_slope_is_the_noise_s_exponent(exponent):
    slope = spectrum_statistics(noise(24, 64, exponent))["slope"]
    # One picture's slope is known to a few hundredths; the mean of 24 better.
    assert slope.mean() == pytest.approx(exponent, abs=0.04)


def test_energy_per_octave():
    # Amplitudes of 1/f in two dimensions: about as much energy in every octave.
    values = spectrum_statistics(noise(100, 64, -1.0))
    shares = {name: value.mean() for name, value in values.items() if name != "slope"}
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == [f"energy at {low} to {2 * low} cycles" for low in (1, 2, 4, 8, 16)]
    # Rings k = low ... 2 low - 1 hold 1/k each. (The window takes energy from the lowest.)
    octave = {low: sum(1 / k for k in range(low, 2 * low)) for low in (4, 8)}
    ratio = shares["energy at 8 to 16 cycles"] / shares["energy at 4 to 8 cycles"]
    assert ratio == pytest.approx(octave[8] / octave[4], rel=0.05)
    # White noise has its energy where most frequencies are: half the radius holds a quarter.
    white = spectrum_statistics(noise(50, 64, 0.0))
    assert white["energy at 16 to 32 cycles"].mean() == pytest.approx(0.75, abs=0.03)


def test_a_wave_s_energy_lies_in_its_octave():
    x = np.arange(64)
    wave = np.broadcast_to(np.sin(2 * np.pi * 11 * x / 64), (1, 64, 64))
    assert spectrum_statistics(wave)["energy at 8 to 16 cycles"][0] > 0.99


def test_an_even_picture_has_neither_gradient_nor_spectrum():
    pictures = np.full((2, 16, 16, 3), 0.25)
    values = picture_statistics(pictures)
    assert np.all(values["gradient"]["mean magnitude"] == 0)
    assert np.all(values["gradient"]["kurtosis"] == 1)
    assert np.all(values["gradient"]["share above three deviations"] == 0)
    assert np.allclose(values["spectrum"]["slope"], 0, atol=1e-6)
    assert np.allclose(values["colour"]["mean of red"], 0.25)
    assert np.all(values["colour"]["saturation"] == 0)
    for value in values["luminance"].values():
        assert np.allclose(value, 0.25)


def test_colours_of_a_picture_of_two_halves():
    picture = np.zeros((1, 16, 16, 3))
    picture[:, :, :8] = [1.0, 0.5, 0.5]  # saturation 1/2; the black half has none
    values = colour_statistics(picture)
    assert values["mean of red"][0] == pytest.approx(0.5)
    assert values["deviation of red"][0] == pytest.approx(0.5)
    assert values["mean of green"][0] == pytest.approx(0.25)
    assert values["deviation of blue"][0] == pytest.approx(0.25)
    assert values["saturation"][0] == pytest.approx(0.25)


def test_luminance_percentiles_of_a_ramp():
    ramp = np.linspace(0, 1, 101 * 101).reshape(1, 101, 101)
    values = luminance_statistics(ramp)
    for percent in LUMINANCE_PERCENTILES:
        assert values[f"percentile {percent}"][0] == pytest.approx(percent / 100, abs=1e-4)


def test_gradients_of_ramp_noise_and_edge():
    y, x = np.mgrid[:33, :33].astype(float)
    ramp = (0.03 * x + 0.04 * y)[None]
    assert gradient_statistics(ramp)["mean magnitude"][0] == pytest.approx(0.05)

    gaussian = gradient_statistics(np.random.default_rng(0).normal(size=(8, 128, 128)))
    assert gaussian["kurtosis"].mean() == pytest.approx(3, abs=0.05)
    assert gaussian["share above three deviations"].mean() == pytest.approx(0.0027, abs=5e-4)
    # Mean length of a vector of two Gaussians of variance 2: sqrt(2) sqrt(pi / 2). The two
    # differences share a pixel, which makes their sum, not their length's mean, larger.
    assert gaussian["mean magnitude"].mean() == pytest.approx(np.sqrt(np.pi), rel=0.05)

    edge = np.zeros((1, 33, 33))
    edge[:, :, 10:] = 0.5
    # One difference in 64 is 1/2, all others 0: kurtosis 64.
    values = gradient_statistics(edge)
    assert values["kurtosis"][0] == pytest.approx(64)
    assert values["share above three deviations"][0] == pytest.approx(1 / 64)
    assert values["mean magnitude"][0] == pytest.approx(0.5 / 32)


def test_wasserstein_distance_by_hand():
    assert wasserstein_distance(np.array([0.0, 1.0]), np.array([5.0, 6.0])) == pytest.approx(5)
    assert wasserstein_distance(np.array([0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])) == 0
    # Half the mass moves by 2.
    assert wasserstein_distance(np.array([0.0]), np.array([0.0, 2.0])) == pytest.approx(1)


def test_comparison_tells_equal_sets_from_different_ones():
    rng = np.random.default_rng(0)
    real = rng.uniform(size=(20, 16, 16, 3))
    same = compare(rng.uniform(size=(30, 16, 16, 3)), real)
    # 19 in 20 stay below chance where nothing differs; the rows are not independent.
    assert np.mean([row.distance < row.chance for row in same]) > 0.6

    darker = {row.name: row for row in compare(0.8 * rng.uniform(size=(30, 16, 16, 3)), real)}
    row = darker["mean of red"]
    assert row.group == "colour"
    assert (row.generated, row.real) == pytest.approx((0.4, 0.5), abs=0.02)
    assert row.distance == pytest.approx(
        (row.real - row.generated) / real[..., 0].mean(axis=(1, 2)).std(), rel=0.01
    )
    assert row.distance > 2 * row.chance
    assert darker["slope"].distance < 2


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        ((1, 16, 16, 3), (4, 16, 16, 3), "at least 2 generated pictures, got 1"),
        ((4, 16, 16, 3), (4, 32, 32, 3), "must have one size"),
        ((4, 8, 8, 3), (4, 8, 8, 3), "at least 16 pixels"),
        ((4, 16, 32, 3), (4, 16, 32, 3), "must be square"),
    ],
)
def test_what_cannot_be_compared(generated, real, message):
    with pytest.raises(ValueError, match=message):
        compare(np.zeros(generated), np.zeros(real))
