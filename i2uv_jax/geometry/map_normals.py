"""Normals and frames of UV position maps, from the differences between neighbouring texels.
Jit-able."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from i2uv_jax.geometry.mesh import normalize


def uv_map_normals(uv_map: Float[Array, "*b m m 3"]) -> Float[Array, "*b m-2 m-2 3"]:
    """Unit normals at all texels but the outermost: the cross product of the map's derivatives
    along u and v, as central differences. One side of the surface throughout."""
    return normalize(jnp.cross(*_derivatives(uv_map)))


def texel_frames(
    uv_map: Float[Array, "b m m 3"],
) -> tuple[Float[Array, "b m m 3 3"], Float[Array, "b 1 1 1"]]:
    """Each texel's own frame, its axes in columns: along u, across that in the surface, along the
    normal; the outermost texels have their neighbours'. And the hand's size: the root of the map's
    area over its texels, in the map's units. Both turn and grow with the hand."""
    along_u, along_v = _derivatives(uv_map)
    cross = jnp.cross(along_u, along_v)
    size = jnp.sqrt(jnp.linalg.norm(cross, axis=-1).mean(axis=(1, 2)))
    first, normal = normalize(along_u), normalize(cross)
    frames = jnp.stack([first, jnp.cross(normal, first), normal], axis=-1)
    # Not by `jnp.pad`, which cuts the batch too, whose size exported programs leave open.
    rows = jnp.concatenate([frames[:, :1], frames, frames[:, -1:]], axis=1)
    columns = jnp.concatenate([rows[:, :, :1], rows, rows[:, :, -1:]], axis=2)
    return columns, size[:, None, None, None]


def _derivatives(
    uv_map: Float[Array, "*b m m 3"],
) -> tuple[Float[Array, "*b m-2 m-2 3"], Float[Array, "*b m-2 m-2 3"]]:
    """Along u and along v, at all texels but the outermost."""
    # In map sides, so that the derivatives' size does not depend on the number of texels.
    half = (uv_map.shape[-2] - 1) / 2
    along_u = half * (uv_map[..., 1:-1, 2:, :] - uv_map[..., 1:-1, :-2, :])
    along_v = half * (uv_map[..., 2:, 1:-1, :] - uv_map[..., :-2, 1:-1, :])
    return along_u, along_v


def has_normal(mask: Bool[np.ndarray, "m m"]) -> Bool[np.ndarray, "m-2 m-2"]:
    """Which of these texels lie inside a chart together with their four neighbours."""
    middle = mask[1:-1, 1:-1]
    return middle & mask[1:-1, 2:] & mask[1:-1, :-2] & mask[2:, 1:-1] & mask[:-2, 1:-1]


def angles_degrees(
    normals: Float[Array, "*b 3"], others: Float[Array, "*b 3"]
) -> Float[Array, "*b"]:
    """Angles between vectors; exact for small ones, where the cosine is flat."""
    sine = jnp.linalg.norm(jnp.cross(normals, others), axis=-1)
    return jnp.degrees(jnp.arctan2(sine, jnp.sum(normals * others, axis=-1)))
