"""What a camera does to a picture, in the order in which it happens. Pure, jit-able, vmap-able.

1. *Shake*: a short kernel along the path that a point takes while the shutter is open.
2. *Lens and pixels*: a Gaussian, sampled on a sensor grid that may be coarser than the picture (a
   hand that is small in its photo), so that noise and compression have the photo's scale.
3. *Light*: exposure, white balance, vignetting; shot and read noise.
4. *Development*: contrast, gamma, colours; then JPEG. Sharpening comes before the noise, as
   cameras keep noise out of it.
5. *Cropping*: the sensor grid is interpolated back to the picture.

Steps 2 and 5 are separable: one banded matrix per axis does blur and resampling at once, for widths
and scales that differ from picture to picture.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.config import SensorConfig
from i2uv_jax.ops.hashing import hash_bits
from i2uv_jax.render.jpeg import compress_rows
from i2uv_jax.render.shading import sample_tints

_JPEG_UNIT = 16
_SHAKE_RADIUS = 2
_SHAKE_MOMENTS = np.linspace(-0.5, 0.5, 9, dtype=np.float32)
_MIN_SIGMA_PX = 1e-3
"""Stands for no blur: neighbours get no weight that float32 can hold."""
_RUN = 32
"""Rows or columns that are resampled together."""
_GAUSSIAN_REACH = 5
"""Standard deviations from which on a Gaussian's weights vanish in float32's rounding."""
_BYTE_SUM_STD = np.float32(np.sqrt(4 * (256**2 - 1) / 12))
_MEAN_CONTRAST = 0.7
"""Cameras show more contrast than there was: mean of its logarithm, in standard deviations."""
_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
"""Of encoded RGB (ITU-R BT.601)."""


def apply_sensor(
    key: PRNGKeyArray, image: Float[Array, "n n 3"], config: SensorConfig | None = None
) -> Float[Array, "n n 3"]:
    """A random camera's rendition of an sRGB-encoded picture; values stay within 0 and 1."""
    config = SensorConfig() if config is None else config
    if config.strength == 0:
        return image
    keys = jax.random.split(key, 4)
    image = _shake(keys[0], image, config)
    image, to_picture = _sample_on_sensor(keys[1], image, config)
    image = _develop(keys[2], image, config)
    return to_picture(_compress(keys[3], image, config))


def gaussian_rows(
    centres: Float[Array, "m"], sigma_px: Float[Array, ""], size: int
) -> Float[Array, "m size"]:
    """Rows that blur and sample one axis: Gaussian weights around each centre, summing to 1.

    Args:
      centres: where to sample, in pixels (pixel i of `size` has its centre at i).
      sigma_px: standard deviation; may be traced, 0 takes the nearest pixel.
    """
    distance = jnp.clip(centres, 0, size - 1)[:, None] - jnp.arange(size)
    exponent = -0.5 * (distance / jnp.maximum(sigma_px, _MIN_SIGMA_PX)) ** 2
    return jax.nn.softmax(exponent, axis=1)


def shake_kernel(path_px: Float[Array, "t 2"]) -> Float[Array, "k k"]:
    """Weights by which a picture moves along a path (x, y in pixels); they sum to 1.

    Each moment of the path is a bilinear shift; paths longer than the kernel are held at its rim.
    """
    path_px = jnp.clip(path_px, -_SHAKE_RADIUS, _SHAKE_RADIUS)
    taps = jnp.arange(-_SHAKE_RADIUS, _SHAKE_RADIUS + 1)
    weights = jnp.maximum(0, 1 - jnp.abs(path_px[:, :, None] - taps))  # t 2 k
    return jnp.einsum("tx,ty->yx", weights[:, 0], weights[:, 1]) / len(path_px)


def blur_and_sample(
    image: Float[Array, "h c w"],
    centres: Float[Array, "m"],
    sigma_px: Float[Array, ""],
    widest_px: float,
    step: float,
) -> Float[Array, "m c m"]:
    """The products of `gaussian_rows` with both axes of a square picture.

    Args:
      widest_px: the largest `sigma_px`.
      step: the largest distance of neighbouring centres, which ascend.
    """
    width = math.ceil(step * _RUN + 2 * _GAUSSIAN_REACH * widest_px) + 2
    return resample(image, centres, lambda part, size: gaussian_rows(part, sigma_px, size), width)


def resample(
    image: Float[Array, "h c w"],
    centres: Float[Array, "m"],
    weigh: Callable[[Array, int], Array],
    width: int,
) -> Float[Array, "m c m"]:
    """Weighted sums of a square picture's pixels around rows and columns of centres.

    Weights are products of matrices that are zero but for a band. So that few zeros are multiplied,
    runs of centres share a window.

    Args:
      centres: ascending, in pixels (pixel i has its centre at i); those outside are moved inside.
      weigh: from the centres of a run, counted from a window's start, and the window's size to
        their weights (run, window).
      width: pixels that a window needs to hold all weights of a run of `_RUN` centres.
    """
    size = image.shape[0]
    width = min(width, size)
    centres = jnp.clip(centres, 0, size - 1)
    windows = []
    for run in jnp.split(centres, list(range(_RUN, len(centres), _RUN))):
        middle = (run[0] + run[-1] - width + 1) / 2
        start = jnp.clip(jnp.round(middle), 0, size - width)
        windows.append((start.astype(jnp.int32), weigh(run - start, width)))

    cut = jax.lax.dynamic_slice_in_dim
    rows = [
        jnp.einsum("iy,ycx->icx", weights, cut(image, start, width)) for start, weights in windows
    ]
    image = jnp.concatenate(rows)
    columns = [
        jnp.einsum("ycx,jx->ycj", cut(image, start, width, axis=2), weights)
        for start, weights in windows
    ]
    return jnp.concatenate(columns, axis=2)


def convolve(
    image: Float[Array, "h c w"], kernel: Float[Array, "k k"], spacing: int = 1
) -> Float[Array, "h c w"]:
    """The picture under a small odd kernel, its taps `spacing` pixels apart; borders repeat."""
    radius = spacing * (kernel.shape[0] // 2)
    padded = jnp.pad(image, ((radius, radius), (0, 0), (radius, radius)), mode="edge")
    # Shifted slices fuse into one pass over the picture; a convolution with one kernel per picture
    # of a batch would be a grouped one, which is slow on CPUs.
    padded = jax.lax.optimization_barrier(padded)
    height, channels, width = image.shape
    total = jnp.zeros_like(image)
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            start = (row * spacing, 0, column * spacing)
            stop = (start[0] + height, channels, start[2] + width)
            total += kernel[row, column] * jax.lax.slice(padded, start, stop)
    return total


def pixel_noise(key: PRNGKeyArray, shape: tuple[int, int, int]) -> Float[Array, "h c w"]:
    """Nearly normal noise of mean 0 and variance 1: sums of four random bytes.

    Normal numbers would be the dearest part of the whole sensor.
    """
    seed = jax.random.bits(key, (), jnp.uint32)
    height, channels, width = shape
    row, channel, column = jnp.ogrid[:height, :channels, :width]
    place = (row * width + column) * channels + channel
    bits = hash_bits(place.astype(jnp.uint32) + seed)
    total = sum((bits >> shift) & 0xFF for shift in (0, 8, 16, 24))
    return (total.astype(jnp.float32) - 2 * 255) / _BYTE_SUM_STD


def _shake(key, image, config):
    """Blur along a slightly bent path."""
    size = image.shape[0]
    # Enough reach for the longest path with few taps: spaced out on large pictures.
    reach_px = config.strength * config.motion_length * size / 2
    spacing = max(1, round(reach_px / _SHAKE_RADIUS))
    lot, length, turn, bend = jax.random.uniform(key, (4,))
    length *= 2 * reach_px / spacing
    angle, bend = np.pi * turn, 2 * bend - 1
    along = _SHAKE_MOMENTS * length
    across = bend * (_SHAKE_MOMENTS**2 - 1 / 12) * length
    path = jnp.stack(
        [
            along * jnp.cos(angle) - across * jnp.sin(angle),
            along * jnp.sin(angle) + across * jnp.cos(angle),
        ],
        axis=-1,
    )
    return jax.lax.cond(
        lot < config.strength * config.motion_share,
        lambda image: convolve(jnp.swapaxes(image, 1, 2), shake_kernel(path), spacing),
        lambda image: jnp.swapaxes(image, 1, 2),
        image,
    )


def _sample_on_sensor(key, image, config):
    """The picture on the sensor's grid, and what brings it back."""
    size = image.shape[0]
    grid = -(-size // _JPEG_UNIT) * _JPEG_UNIT
    lot, degree, place, blur = jax.random.uniform(key, (4,))
    is_coarse = lot < config.strength * config.coarse_share
    coarseness = config.coarseness ** (config.strength * degree * is_coarse)
    # A coarse grid is larger than the picture: it lies anywhere in it, so that the borders of
    # JPEG's blocks do, too.
    slack = grid - size / coarseness
    offset = slack * place * is_coarse
    # Squared: most pictures are nearly sharp.
    defocus = config.strength * config.defocus * size * blur**2
    aperture = 0.4 * jnp.sqrt(coarseness**2 - 1)  # of a coarse pixel; none where grids agree
    sigma = jnp.sqrt(defocus**2 + aperture**2)
    centres = (jnp.arange(grid) + 0.5 - offset) * coarseness - 0.5
    coarsest = config.coarseness**config.strength
    widest = math.hypot(config.strength * config.defocus * size, 0.4 * math.sqrt(coarsest**2 - 1))
    image = blur_and_sample(image, centres, sigma, widest, coarsest)
    positions = (jnp.arange(size) + 0.5) / coarseness + offset - 0.5

    def weigh_neighbours(centres, width):
        return jnp.maximum(0, 1 - jnp.abs(centres[:, None] - jnp.arange(width)))

    def to_picture(image):
        image = jax.lax.cond(
            is_coarse,
            lambda image: resample(image, positions, weigh_neighbours, _RUN + 4),
            lambda image: image[:size, :, :size],
            image,
        )
        return jnp.swapaxes(jnp.clip(image, 0, 1), 1, 2)

    return image, to_picture


def _develop(key, image, config):
    """Light, noise and the tone curve."""
    spread_key, tint_key, level_key, noise_key = jax.random.split(key, 4)
    strength, tint = config.strength, config.strength * config.tint
    spread = strength * jax.random.normal(spread_key, (3,))
    gain = jnp.exp(config.exposure * spread[0])
    contrast = jnp.exp(config.contrast * (spread[1] + strength * _MEAN_CONTRAST))
    gamma = jnp.exp(config.contrast * spread[2])
    balance = sample_tints(tint_key, 1)[0] ** tint
    level, read_share, saturation, sharpness, *vignette = jax.random.uniform(level_key, (8,))

    image = sharpen(image, strength * config.sharpening * sharpness)
    falloff = _vignette(vignette, image.shape[0], strength * config.vignetting)
    image = jnp.maximum(image, 0) * (gain * balance)[:, None] * falloff
    # Squared: most cameras are quiet. Part of the noise is read noise, the rest grows with light.
    level = strength * config.noise * level**2
    variance = read_share + (1 - read_share) * 2 * image
    image += level * jnp.sqrt(variance) * pixel_noise(noise_key, image.shape)

    # exp(log) is several times faster than a power on CPUs; the floor keeps it finite at black.
    image = jnp.exp(gamma * jnp.log(jnp.clip(image, 1e-4, 1)))
    mean = image.mean(axis=(0, 1)).mean()
    image = mean + contrast * (image - mean)
    saturation = 1 + tint * (0.7 * saturation - 0.5)
    grey = sum(weight * image[:, c : c + 1] for c, weight in enumerate(_LUMA_WEIGHTS))
    return jnp.clip(grey + saturation * (image - grey), 0, 1)


def sharpen(image: Float[Array, "h c w"], amount: Float[Array, ""]) -> Float[Array, "h c w"]:
    """Unsharp mask: adds `amount` of each pixel's difference from a blur (1 0 2 0 1).

    Raises what has a period of four pixels by 1 + amount, what has one of two pixels not at all:
    cameras suppress noise before they sharpen, and photos are shrunk afterwards.
    """
    padded = jnp.pad(image, ((2, 2), (0, 0), (2, 2)), mode="edge")
    # The barrier keeps the compiler from working out the picture anew for each shift of it.
    padded = jax.lax.optimization_barrier(padded)
    rows = padded[:-4] + 2 * padded[2:-2] + padded[4:]
    blurred = (rows[..., :-4] + 2 * rows[..., 2:-2] + rows[..., 4:]) / 16
    return image + amount * (image - blurred)


def _vignette(uniform, size, darkest):
    """Falling light towards the corners of a photo of which the picture shows some part."""
    x, y, extent, loss = uniform
    axis = (jnp.arange(size) + 0.5) / size
    squared = (axis[:, None] - 1.6 * y + 0.3) ** 2 + (axis - 1.6 * x + 0.3) ** 2
    squared /= (0.8 + 1.2 * extent) ** 2
    return (1 - darkest * loss * jnp.minimum(squared, 1))[:, None]


def _compress(key, image, config):
    lot, degree = jax.random.uniform(key, (2,))
    worst, best = config.jpeg_quality
    return jax.lax.cond(
        lot < config.strength * config.jpeg_share,
        lambda image: compress_rows(
            image, worst + (best - worst) * degree, halve_chroma=config.jpeg_halve_chroma
        ),
        lambda image: image,
        image,
    )
