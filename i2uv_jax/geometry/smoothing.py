"""Gaussian smoothing of UV position maps that does not draw the chart's border inwards.

A mean over those neighbours that lie inside the chart, as is usual under a mask, is one-sided at a
border: it moves border texels inwards by about 0.8 sigma and opens the seams. Here each texel is
instead the value of the plane that fits its neighbourhood best under Gaussian weights (local linear
regression, Fan and Gijbels 1996), which leaves every linear map as it is, at borders too, and is
the ordinary Gaussian mean away from them.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float

_OUTSIDE_WEIGHT = 1e-3
"""Of texels outside the chart: enough to define a plane wherever there are few others."""

_REACH = 3.5
"""Standard deviations after which the kernel ends."""


@struct.dataclass
class SmoothingTables:
    """Separable kernels as band matrices, and what turns their sums into the fitted plane."""

    kernel: Float[np.ndarray, "m m"]
    moment: Float[np.ndarray, "m m"]
    """The kernel times the signed distance, in standard deviations."""
    weight: Float[np.ndarray, "m m"]
    """Weight of each texel as data."""
    solution: Float[np.ndarray, "m m 3"]
    """Factors of the plain sum and of the sums weighted by distance along u and along v."""


def smooth_uv_map(
    tables: SmoothingTables, uv_map: Float[Array, "*b m m c"]
) -> Float[Array, "*b m m c"]:
    """The map smoothed as `build_smoothing` was told; linear in the map, jit-able."""
    weighted = uv_map * tables.weight[..., None]

    def sums(rows, columns):
        return jnp.einsum(
            "iv,ju,...vuc->...ijc", rows, columns, weighted, precision=jax.lax.Precision.HIGHEST
        )

    plain, along_u, along_v = (
        sums(tables.kernel, tables.kernel),
        sums(tables.kernel, tables.moment),
        sums(tables.moment, tables.kernel),
    )
    by_sum, by_u, by_v = (tables.solution[..., part, None] for part in range(3))
    return by_sum * plain + by_u * along_u + by_v * along_v


def build_smoothing(mask: Bool[np.ndarray, "m m"], sigma_texels: float) -> SmoothingTables:
    """Tables for maps with this chart (NumPy, cached).

    Raises:
      ValueError: sigma is not positive.
    """
    if not sigma_texels > 0:
        raise ValueError(f"sigma_texels must be positive, got {sigma_texels}")
    mask = np.ascontiguousarray(mask, bool)
    return _build_smoothing(mask.tobytes(), len(mask), float(sigma_texels))


@lru_cache(maxsize=16)
def _build_smoothing(mask_bytes, size, sigma):
    mask = np.frombuffer(mask_bytes, bool).reshape(size, size)
    weight = np.where(mask, 1.0, _OUTSIDE_WEIGHT)
    distance = (np.arange(size) - np.arange(size)[:, None]) / sigma
    kernel = np.where(np.abs(distance) <= _REACH, np.exp(-0.5 * distance**2), 0)
    first, second = kernel * distance, kernel * distance**2
    moments = np.empty((size, size, 3, 3))
    by_order = {
        (0, 0): kernel @ weight @ kernel.T,
        (0, 1): kernel @ weight @ first.T,
        (0, 2): first @ weight @ kernel.T,
        (1, 1): kernel @ weight @ second.T,
        (1, 2): first @ weight @ first.T,
        (2, 2): second @ weight @ kernel.T,
    }
    for (row, column), values in by_order.items():
        moments[..., row, column] = moments[..., column, row] = values
    # The plane's value at the texel: the first row of the inverse of the moments.
    solution = np.linalg.solve(moments, np.broadcast_to(np.eye(3)[:, :1], (size, size, 3, 1)))
    return SmoothingTables(
        kernel=kernel.astype(np.float32),
        moment=first.astype(np.float32),
        weight=weight.astype(np.float32),
        solution=solution[..., 0].astype(np.float32),
    )
