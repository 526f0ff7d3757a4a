"""What pictures look like in numbers, and how far two sets of pictures are apart in each of them.

Every statistic is one number a picture, so that each picture counts alike, a large set compares
with a small one, and the spread over pictures gives the distances their unit. All functions are
pure NumPy; pictures are square, sRGB-encoded, 0 to 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from i2uv_jax.imaging.luminance import REC_709_WEIGHTS

LUMINANCE_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)

MIN_SIDE_PX = 16
"""Smaller pictures have too few frequencies to fit a slope to."""

_EPSILON = 1e-8

_NUM_SHUFFLES = 100
_CHANCE_QUANTILE = 0.95


@dataclass(frozen=True)
class Comparison:
    """One statistic of two sets of pictures."""

    group: str
    name: str
    generated: float
    """Mean over generated pictures."""
    real: float
    """Mean over real pictures."""
    distance: float
    """Area between the two cumulative distributions over pictures (the Wasserstein-1 distance), in
    standard deviations of the real ones: 1 for a shift by one standard deviation."""
    chance: float
    """What 19 in 20 distances stay below where both sets come from the same source: found by
    dealing the pictures anew to two sets of these sizes."""


def compare(
    generated: Float[np.ndarray, "n s s 3"], real: Float[np.ndarray, "m s s 3"], *, seed: int = 0
) -> list[Comparison]:
    """Every statistic of two sets of pictures of one size, beside each other.

    Args:
      seed: decides how pictures are dealt anew for `Comparison.chance`.

    Raises:
      ValueError: a set has fewer than two pictures, or the sizes differ or are below
        `MIN_SIDE_PX`.
    """
    for name, pictures in (("generated", generated), ("real", real)):
        if len(pictures) < 2:
            raise ValueError(f"statistics need at least 2 {name} pictures, got {len(pictures)}")
    if generated.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"generated and real pictures must have one size, got {generated.shape[1:]} "
            f"and {real.shape[1:]}"
        )
    rng = np.random.default_rng(seed)
    ours, theirs = picture_statistics(generated), picture_statistics(real)
    return [
        _compare_one(group, name, ours[group][name], theirs[group][name], rng)
        for group in ours
        for name in ours[group]
    ]


def picture_statistics(
    pictures: Float[np.ndarray, "n s s 3"],
) -> dict[str, dict[str, Float[np.ndarray, "n"]]]:
    """All statistics by group and name, one value a picture.

    Raises:
      ValueError: pictures are not square or smaller than `MIN_SIDE_PX`.
    """
    _, height, width, _ = pictures.shape
    if height != width or width < MIN_SIDE_PX:
        raise ValueError(
            f"pictures must be square with a side of at least {MIN_SIDE_PX} pixels, "
            f"got {height} x {width}"
        )
    # Of the encoded channels: what image statistics are commonly taken of.
    luminance = pictures @ np.array(REC_709_WEIGHTS)
    return {
        "colour": colour_statistics(pictures),
        "luminance": luminance_statistics(luminance),
        "gradient": gradient_statistics(luminance),
        "spectrum": spectrum_statistics(luminance),
    }


def colour_statistics(pictures: Float[np.ndarray, "n h w 3"]) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each channel, and the mean saturation (HSV's)."""
    values = {}
    for index, name in enumerate(("red", "green", "blue")):
        values[f"mean of {name}"] = pictures[..., index].mean(axis=(1, 2))
        values[f"deviation of {name}"] = pictures[..., index].std(axis=(1, 2))
    high, low = pictures.max(axis=-1), pictures.min(axis=-1)
    saturation = np.where(high > _EPSILON, (high - low) / np.maximum(high, _EPSILON), 0)
    values["saturation"] = saturation.mean(axis=(1, 2))
    return values


def luminance_statistics(luminance: Float[np.ndarray, "n h w"]) -> dict[str, np.ndarray]:
    """Percentiles of the pixels' luminance."""
    values = np.percentile(luminance, LUMINANCE_PERCENTILES, axis=(1, 2))
    return {
        f"percentile {percent}": row
        for percent, row in zip(LUMINANCE_PERCENTILES, values, strict=True)
    }


def gradient_statistics(luminance: Float[np.ndarray, "n h w"]) -> dict[str, np.ndarray]:
    """Differences between neighbouring pixels: how strong they are, and how heavy their tails.

    - mean magnitude: of the vector of both differences, in luminance per pixel;
    - kurtosis: the differences' fourth moment about 0 over their squared second moment: 3 for
      Gaussian noise, far more where few sharp edges part large even areas; 1 where there is none;
    - share above three deviations: 0.0027 for Gaussian noise.
    """
    across = np.diff(luminance, axis=2)[:, :-1]
    down = np.diff(luminance, axis=1)[:, :, :-1]
    both = np.stack([across, down], axis=-1).reshape(len(luminance), -1)
    variance = (both**2).mean(axis=1)
    is_even = variance < _EPSILON**2
    fourth = (both**4).mean(axis=1)
    kurtosis = np.where(is_even, 1, fourth / np.where(is_even, 1, variance) ** 2)
    is_steep = np.abs(both) > 3 * np.sqrt(variance)[:, None] + _EPSILON
    return {
        "mean magnitude": np.hypot(across, down).mean(axis=(1, 2)),
        "kurtosis": kurtosis,
        "share above three deviations": is_steep.mean(axis=1),
    }


def spectrum_statistics(luminance: Float[np.ndarray, "n s s"]) -> dict[str, np.ndarray]:
    """Slope of the amplitude spectrum, and each octave's share of the energy.

    - slope: exponent of the power law that fits the radially averaged amplitudes best (least
      squares of the logarithms, from 2 cycles a picture to Nyquist): 0 for white noise, -1 for
      pictures with as much energy in every octave;
    - octave shares sum to 1; the mean and the corners of the spectrum beyond Nyquist are left out.
    """
    amplitude, energy = radial_spectrum(luminance)
    frequency = np.arange(1, amplitude.shape[1] + 1)
    x = np.log(frequency[1:])
    y = np.log(amplitude[:, 1:] + _EPSILON)
    x = x - x.mean()
    values = {"slope": (y * x).sum(axis=1) / (x**2).sum()}
    total = np.maximum(energy.sum(axis=1), _EPSILON)
    low = 1
    while low <= frequency[-1]:
        # The last octave takes Nyquist itself with it; it would be an octave of one frequency.
        high = 2 * low if 2 * low < frequency[-1] else frequency[-1] + 1
        inside = (frequency >= low) & (frequency < high)
        values[f"energy at {low} to {min(2 * low, frequency[-1])} cycles"] = (
            energy[:, inside].sum(axis=1) / total
        )
        low = high
    return values


def radial_spectrum(
    luminance: Float[np.ndarray, "n s s"],
) -> tuple[Float[np.ndarray, "n s/2"], Float[np.ndarray, "n s/2"]]:
    """Mean amplitude and summed energy of the ring at each whole frequency.

    Ring k = 1 ... s // 2 holds the frequencies whose distance from zero rounds to k cycles a
    picture. A Hann window keeps the step between opposite edges, which the Fourier transform takes
    for content, out of the spectrum.
    """
    size = luminance.shape[-1]
    window = np.hanning(size + 1)[:-1]
    window = np.outer(window, window)
    mean = (luminance * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    transform = np.abs(np.fft.fft2((luminance - mean) * window))
    frequency = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(frequency[:, None], frequency)).astype(int).ravel()
    flat = transform.reshape(len(luminance), -1)
    last = size // 2 + 1
    count = np.bincount(ring)[1:last]
    amplitude = np.stack([np.bincount(ring, weights=one)[1:last] for one in flat]) / count
    energy = np.stack([np.bincount(ring, weights=one**2)[1:last] for one in flat])
    return amplitude, energy


def wasserstein_distance(first: Float[np.ndarray, "n"], second: Float[np.ndarray, "m"]) -> float:
    """Area between the cumulative distributions of two samples, in the samples' unit."""
    both = np.sort(np.concatenate([first, second]))
    below_first = np.searchsorted(np.sort(first), both[:-1], side="right") / len(first)
    below_second = np.searchsorted(np.sort(second), both[:-1], side="right") / len(second)
    return float(np.sum(np.abs(below_first - below_second) * np.diff(both)))


def _compare_one(group, name, generated, real, rng) -> Comparison:
    deviation = max(float(real.std()), _EPSILON)
    pooled = np.concatenate([generated, real])
    by_chance = []
    for _ in range(_NUM_SHUFFLES):
        rng.shuffle(pooled)
        by_chance.append(wasserstein_distance(pooled[: len(real)], pooled[len(real) :]))
    return Comparison(
        group=group,
        name=name,
        generated=float(generated.mean()),
        real=float(real.mean()),
        distance=wasserstein_distance(generated, real) / deviation,
        chance=float(np.quantile(by_chance, _CHANCE_QUANTILE)) / deviation,
    )
