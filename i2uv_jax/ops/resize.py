"""Corner-aligned bilinear resizing (PyTorch's `align_corners=True`).

Sample i of n stands at position i / (n - 1) of its axis, so grids of all sizes share their corner
samples: output i of m reads input position i (n - 1) / (m - 1). `jax.image.resize` aligns pixel
edges instead and smooths when shrinking; the two agree nowhere except at equal sizes.

Resizing is linear and separable: one constant matrix per axis, at most two entries per row.
"""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@lru_cache(maxsize=256)
def interpolation_matrix(in_size: int, out_size: int) -> Float[np.ndarray, "out_size in_size"]:
    """The matrix that resizes one axis; its rows sum to 1.

    An output of one sample takes the first input sample, as PyTorch does.
    """
    if in_size < 1 or out_size < 1:
        raise ValueError(f"size: expected at least 1, got {in_size} -> {out_size}")
    matrix = np.zeros((out_size, in_size), np.float32)
    if in_size == 1 or out_size == 1:
        matrix[:, 0] = 1
        return matrix
    position = np.arange(out_size) * ((in_size - 1) / (out_size - 1))
    left = np.minimum(position.astype(int), in_size - 2)
    rows = np.arange(out_size)
    matrix[rows, left] = left + 1 - position
    matrix[rows, left + 1] = position - left
    return matrix


def resize_corner_aligned(
    image: Float[Array, "b h w c"], size: tuple[int, int], *, cpu_path: bool = False
) -> Float[Array, "b out_h out_w c"]:
    """Resizes bilinearly to `size` = (height, width), corner-aligned; keeps the dtype. Jit-able.

    `cpu_path` adds up shifted rows and columns, forwards and backwards, where the plain path
    multiplies with dense matrices: the same numbers, many times faster under XLA on CPUs.
    """
    rows = interpolation_matrix(image.shape[1], size[0])
    columns = interpolation_matrix(image.shape[2], size[1])
    if image.shape[1:3] == size:
        return image
    if cpu_path:
        return _gather_resize(image, *size)
    # Rows first; XLA picks the layout of the two contractions. At full precision, since maps of
    # coordinates are resized, too: what is in bfloat16 pays nothing for it.
    return jnp.einsum(
        "bhwc,Hh,Ww->bHWc",
        image,
        rows.astype(image.dtype),
        columns.astype(image.dtype),
        precision="highest" if image.dtype == jnp.float32 else None,
    )


@lru_cache(maxsize=256)
def _sparse_rows(in_size: int, out_size: int, transposed: bool) -> list[tuple]:
    """The matrix as a short list of (column of every row, its weight): row = sum over the list."""
    matrix = interpolation_matrix(in_size, out_size)
    matrix = matrix.T if transposed else matrix
    num_terms = int((matrix != 0).sum(axis=1).max())
    columns = np.argsort(matrix == 0, axis=1, kind="stable")[:, :num_terms]
    weights = np.take_along_axis(matrix, columns, axis=1)
    return [(columns[:, k], weights[:, k]) for k in range(num_terms)]


def _apply_sparse(image: Array, rows: list[tuple], columns: list[tuple]) -> Array:
    image = sum(image[:, i] * w[:, None, None].astype(image.dtype) for i, w in rows)
    return sum(image[:, :, i] * w[:, None].astype(image.dtype) for i, w in columns)


# Autodiff would turn the gathers into scatters, which XLA runs element by element on CPUs; the
# transpose of this map is a gather, too.
@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _gather_resize(image: Array, height: int, width: int) -> Array:
    return _apply_sparse(
        image,
        _sparse_rows(image.shape[1], height, False),
        _sparse_rows(image.shape[2], width, False),
    )


def _gather_resize_forward(image: Array, height: int, width: int) -> tuple[Array, tuple[int, int]]:
    return _gather_resize(image, height, width), image.shape[1:3]


def _gather_resize_backward(
    height: int, width: int, in_size: tuple[int, int], cotangent: Array
) -> tuple[Array]:
    rows = _sparse_rows(in_size[0], height, True)
    columns = _sparse_rows(in_size[1], width, True)
    return (_apply_sparse(cotangent, rows, columns),)


_gather_resize.defvjp(_gather_resize_forward, _gather_resize_backward)
