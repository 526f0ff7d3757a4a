"""Bilinear sampling of feature maps at given points, corner-aligned.

A point (x, y) in [0, 1]^2, x right and y down, reads the feature map at column x (w - 1) and row
y (h - 1): the map's corner pixels stand at the corners of the unit square. Points outside are
moved to the border first (PyTorch 1.2's `grid_sample` after a clamp to [0, 1], as in the
I2UV-HandNet code; there zero and border padding are the same). A clamped coordinate has no
gradient.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


def grid_sample(
    features: Float[Array, "b h w c"],
    points: Float[Array, "b *n 2"],
    *,
    cpu_path: bool = False,
    by_picture: bool = False,
) -> Float[Array, "b *n c"]:
    """Samples each of `b` feature maps at its own points. Jit-able, differentiable in both.

    `cpu_path` gives the same values and gradients; its backward pass scatters pairs of pixels as
    contiguous runs, a few times faster than the plain scatter under XLA on CPUs. It has no
    forward-mode derivative.

    `by_picture` gives the same, too, and tells the compiler that no picture needs another's
    features. Where devices share a batch it would otherwise send all features to all of them. The
    one gather for the whole batch is what the exported formats know.

    Raises:
        ValueError: the batch sizes differ, the last axis of `points` is not 2, or a map's side is
            below 2.
    """
    features, points = jnp.asarray(features), jnp.asarray(points)
    batch, height, width, channels = features.shape
    if points.ndim < 2 or points.shape[0] != batch or points.shape[-1] != 2:
        raise ValueError(f"points: expected shape ({batch}, ..., 2), got {points.shape}")
    if min(height, width) < 2:
        raise ValueError(f"features: expected sides of at least 2, got {features.shape}")
    if by_picture:
        one = lambda f, p: grid_sample(f[None], p[None], cpu_path=cpu_path)[0]  # noqa: E731
        return jax.vmap(one)(features, points)
    corner, fraction = _cells(points.reshape(batch, -1, 2), height, width)
    # Batch and pixels as one axis: one gather of rows, whatever the batch size.
    corner = corner + jnp.arange(batch, dtype=jnp.int32)[:, None] * (height * width)
    pixels = features.reshape(batch * height * width, channels)
    blend = _blend_pairs if cpu_path else _blend
    sampled = blend(pixels, corner.reshape(-1), fraction.reshape(-1, 2), width)
    return sampled.reshape(*points.shape[:-1], channels)


def _cells(
    points: Float[Array, "b n 2"], height: int, width: int
) -> tuple[Int[Array, "b n"], Float[Array, "b n 2"]]:
    """Index of the pixel up and left of each point, and the point's place in that cell, 0 to 1."""
    # float32: bfloat16 cannot tell neighbouring pixels of a map of 256 apart.
    last = jnp.array([width - 1, height - 1], jnp.float32)
    position = jnp.clip(points.astype(jnp.float32), 0, 1) * last
    # The last row and column belong to the cell before them (at fraction 1). The clip of the
    # integers also keeps NaN coordinates from addressing foreign memory.
    cell = jnp.clip(lax.stop_gradient(position).astype(jnp.int32), 0, last.astype(jnp.int32) - 1)
    return cell[..., 1] * width + cell[..., 0], position - cell


def _take(pixels: Float[Array, "p c"], index: Int[Array, " n"]) -> Float[Array, "n c"]:
    return pixels.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _blend(
    pixels: Float[Array, "p c"],
    corner: Int[Array, " n"],
    fraction: Float[Array, "n 2"],
    width: int,
) -> Float[Array, "n c"]:
    """The bilinear mix of the pixels at corner + (0, 1, width, width + 1)."""
    x, y = jnp.split(fraction.astype(pixels.dtype), 2, axis=-1)
    upper = _between(_take(pixels, corner), _take(pixels, corner + 1), x)
    lower = _between(_take(pixels, corner + width), _take(pixels, corner + width + 1), x)
    return _between(upper, lower, y)


def _between(start: Float[Array, "n c"], end: Float[Array, "n c"], share: Float[Array, "n 1"]):
    return start + share * (end - start)


@jax.custom_vjp
def _blend_pairs(pixels: Array, corner: Array, fraction: Array, width: int) -> Array:
    return _blend(pixels, corner, fraction, width)


def _blend_pairs_forward(pixels: Array, corner: Array, fraction: Array, width: int):
    return _blend(pixels, corner, fraction, width), (pixels, corner, fraction, width)


def _blend_pairs_backward(residuals: tuple, cotangent: Float[Array, "n c"]):
    pixels, corner, fraction, width = residuals
    x, y = jnp.split(fraction.astype(pixels.dtype), 2, axis=-1)

    # With d_k = <cotangent, pixel k>: d/dx = (1 - y) (d1 - d0) + y (d3 - d2) and
    # d/dy = (1 - x) (d2 - d0) + x (d3 - d1). Each gather is summed at once: nothing large stays.
    d0, d1, d2, d3 = (
        jnp.sum(cotangent * _take(pixels, corner + offset), axis=-1, keepdims=True)
        for offset in (0, 1, width, width + 1)
    )
    slope_x = (1 - y) * (d1 - d0) + y * (d3 - d2)
    slope_y = (1 - x) * (d2 - d0) + x * (d3 - d1)
    fraction_bar = jnp.concatenate([slope_x, slope_y], axis=-1)

    # XLA's CPU scatter costs per update, so two neighbours of a row go in as one (2, c) window.
    pair = jnp.stack([(1 - x) * cotangent, x * cotangent], axis=1)  # n 2 c
    window = lax.ScatterDimensionNumbers(
        update_window_dims=(1, 2), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,)
    )
    pixels_bar = jnp.zeros_like(pixels)
    for offset, share in ((0, 1 - y), (width, y)):
        pixels_bar = lax.scatter_add(
            pixels_bar,
            (corner + offset)[:, None],
            pair * share[..., None],
            window,
            mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )
    return pixels_bar, None, fraction_bar.astype(fraction.dtype), None


_blend_pairs.defvjp(_blend_pairs_forward, _blend_pairs_backward)
