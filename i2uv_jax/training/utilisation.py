"""Model FLOP utilisation: how much of the devices' arithmetic goes into the network's own."""

from jax.sharding import Mesh

from i2uv_jax.config import DetectorConfig, HandNetConfig
from i2uv_jax.measuring.device_peaks import peaks_of, precision_of
from i2uv_jax.models.complexity import model_complexity, total_complexity

_TRAINING_PER_FORWARD = 3
"""Backwards a convolution costs two of itself: one for its input's gradient, one for its kernel's.
What rematerialisation computes again does not count, by the term's definition."""


def training_flops(config: HandNetConfig | DetectorConfig) -> float | None:
    """The network's own operations for one image, forwards and backwards; None for detectors, whose
    operations nobody counts."""
    if isinstance(config, DetectorConfig):
        return None
    return _TRAINING_PER_FORWARD * total_complexity(model_complexity(config)).flops


def utilisation_per_image_rate(config: HandNetConfig | DetectorConfig, mesh: Mesh) -> float | None:
    """What one image per second takes of the mesh's peak; None where either is not known.

    The peak is the data sheet's for the precision that convolutions run in by default.
    """
    flops = training_flops(config)
    device = mesh.devices.flat[0]
    precision = precision_of(config.dtype, device.platform)
    peaks = peaks_of(device.device_kind, precision)
    if flops is None or peaks is None:
        return None
    return flops / (mesh.size * 1e12 * peaks.teraflops[precision])
