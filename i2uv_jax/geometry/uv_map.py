"""Between meshes and UV position maps.

Texel (row i, column j) of an m x m map stands at texture coordinates (j / (m - 1), i / (m - 1)):
maps of every size share their corner texels (corner-aligned, as the authors' code), so resizing a
map and sampling it agree.

Everything that depends on the atlas alone is worked out once per size, in NumPy, as gather tables;
mapping either way is then a weighted gather: linear in the points, jit-able and differentiable.
"""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from i2uv_jax.geometry.atlas import Atlas

_EXTRAPOLATION_TEXELS = 2.0
"""How far past the chart's border a triangle's plane is continued: bilinear sampling at the border
looks one texel diagonal (1.41) outside; farther out the value stays that of this distance."""

_MAX_BARYCENTRIC = 3.0
"""The continuation stops earlier where a barycentric weight reaches this size, as slivers' do."""


@struct.dataclass
class VertexTables:
    """A gather table from UV maps of one size to one atlas's vertices."""

    vertex_texels: Int[np.ndarray, "v k"]
    """Flat texel indices to sample for each vertex: 4 for every UV coordinate it has."""
    vertex_weights: Float[np.ndarray, "v k"]
    """Bilinear weights of these texels, averaged over the sides of a seam; rows sum to 1."""
    size: int = struct.field(pytree_node=False)


@struct.dataclass
class UvTables(VertexTables):
    """Gather tables between one atlas and UV maps of one size, both ways."""

    texel_vertices: Int[np.ndarray, "m m 3"]
    """Vertices of the triangle that a texel lies in (outside the chart: the nearest triangle)."""
    texel_weights: Float[np.ndarray, "m m 3"]
    """Barycentric weights; outside the chart they extrapolate and may be negative."""
    texel_mask: Bool[np.ndarray, "m m"]
    """Whether the texel's centre lies inside the chart."""


def uv_map_from_vertices(
    tables: UvTables, vertices: Float[Array, "*b v 3"]
) -> Float[Array, "*b m m 3"]:
    """UV position map of a mesh: each texel holds the surface point, extended past the border."""
    corners = vertices[..., tables.texel_vertices, :]
    return jnp.sum(corners * tables.texel_weights[..., None], axis=-2)


def texel_values(tables: UvTables, values: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "m m c"]:
    """Anything that vertices have, at the texels as `uv_map_from_vertices` has points there; in
    NumPy, for tables that are worked out once."""
    return (values[tables.texel_vertices] * tables.texel_weights[..., None]).sum(axis=-2)


def vertices_from_uv_map(
    tables: VertexTables, uv_map: Float[Array, "*b m m 3"]
) -> Float[Array, "*b v 3"]:
    """Vertices of a UV position map: bilinear samples, averaged over the sides of a seam.

    Raises:
      ValueError: the map's size is not the tables'.
    """
    if uv_map.shape[-3:] != (tables.size, tables.size, 3):
        raise ValueError(
            f"uv_map must have shape (..., {tables.size}, {tables.size}, 3), got {uv_map.shape}"
        )
    return vertex_values(tables, uv_map)


def vertex_values(
    tables: VertexTables, texel_values: Float[Array, "*b m m c"]
) -> Float[Array, "*b v c"]:
    """Anything that texels have, at the vertices: samples as `vertices_from_uv_map` takes them."""
    shape = (*texel_values.shape[:-3], tables.size**2, texel_values.shape[-1])
    texels = texel_values.reshape(shape)[..., tables.vertex_texels, :]
    return jnp.sum(texels * tables.vertex_weights[..., None], axis=-2)


@lru_cache(maxsize=32)
def build_tables(atlas: Atlas, size: int) -> UvTables:
    """Gather tables for maps of `size` x `size` texels (NumPy, cached per atlas and size).

    Raises:
      ValueError: size is below 2.
    """
    samples = build_vertex_tables(atlas, size)
    corners = atlas.uv[atlas.faces_uv] * (size - 1)
    texel_faces, mask = _rasterise_chart(corners, size)
    outside = np.argwhere(~mask)
    points = outside[:, ::-1].astype(np.float64)
    faces, nearest = _nearest_on_border(atlas, corners, points)
    texel_faces[~mask] = faces
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(np.float64)
    weights = _barycentric(corners[texel_faces], grid)
    weights[~mask] = _extrapolated_weights(corners[faces], nearest, points)
    return UvTables(
        vertex_texels=samples.vertex_texels,
        vertex_weights=samples.vertex_weights,
        size=size,
        texel_vertices=atlas.faces[texel_faces].astype(np.int32),
        texel_weights=weights.astype(np.float32),
        texel_mask=mask,
    )


@lru_cache(maxsize=32)
def build_vertex_tables(atlas: Atlas, size: int) -> VertexTables:
    """What `build_tables` knows of the vertices; takes no time, whatever their number.

    Raises:
      ValueError: size is below 2.
    """
    if size < 2:
        raise ValueError(f"a UV map needs a size of at least 2, got {size}")
    position = atlas.uv * (size - 1)
    low = np.clip(np.floor(position), 0, size - 2).astype(int)
    fraction = position - low
    offsets = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    texels = (low[:, None, 1] + offsets[:, 1]) * size + low[:, None, 0] + offsets[:, 0]
    weights = np.where(offsets == 1, fraction[:, None], 1 - fraction[:, None]).prod(axis=-1)

    # UV coordinates sorted by vertex, then written side by side into that vertex's row.
    order = np.argsort(atlas.vertex_of_uv, kind="stable")
    owner = atlas.vertex_of_uv[order]
    count = np.bincount(owner, minlength=atlas.num_vertices)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    vertex_texels = np.zeros((atlas.num_vertices, count.max(), 4), np.int32)
    vertex_weights = np.zeros((atlas.num_vertices, count.max(), 4), np.float32)
    vertex_texels[owner, place] = texels[order]
    vertex_weights[owner, place] = weights[order] / count[owner, None]
    return VertexTables(
        vertex_texels=vertex_texels.reshape(atlas.num_vertices, -1),
        vertex_weights=vertex_weights.reshape(atlas.num_vertices, -1),
        size=size,
    )


def _rasterise_chart(corners, size, texels_at_once=2**18):
    """Face index of every texel centre inside the chart, and the mask of those (texel units)."""
    faces = np.zeros((size, size), np.int64)
    mask = np.zeros((size, size), bool)
    low = np.clip(np.ceil(corners.min(axis=1) - 1e-9), 0, size - 1).astype(int)
    high = np.clip(np.floor(corners.max(axis=1) + 1e-9), 0, size - 1).astype(int)
    columns, rows = np.maximum(high - low + 1, 0).T
    # The texels of all triangles' boxes are numbered in the triangles' order.
    count = columns * rows
    end = np.cumsum(count)
    for first in range(0, end[-1], texels_at_once):
        number = np.arange(first, min(first + texels_at_once, end[-1]))
        index = np.searchsorted(end, number, side="right")
        row, column = np.divmod(number - (end - count)[index], columns[index])
        texel = low[index] + np.stack([column, row], axis=-1)
        is_inside = (_barycentric(corners[index], texel.astype(np.float64)) >= -1e-9).all(axis=-1)
        x, y = texel[is_inside].T
        faces[y, x] = index[is_inside]  # Of several triangles the last stays.
        mask[y, x] = True
    return faces, mask


def _nearest_on_border(atlas, corners, points, rows_at_once=4096):
    """Nearest point of the chart's border to each point, and the face that owns that edge."""
    edges = atlas.faces_uv[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    _, first, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    border = first[count == 1]
    owner, side = border // 3, border % 3
    start = corners[owner, side]
    along = corners[owner, (side + 1) % 3] - start
    squared = np.maximum((along**2).sum(axis=1), 1e-18)
    faces = np.empty(len(points), np.int64)
    nearest = np.empty_like(points)
    for begin in range(0, len(points), rows_at_once):
        block = points[begin : begin + rows_at_once, None]
        fraction = np.clip(((block - start) * along).sum(axis=-1) / squared, 0, 1)
        foot = start + fraction[..., None] * along
        best = ((foot - block) ** 2).sum(axis=-1).argmin(axis=1)
        faces[begin : begin + rows_at_once] = owner[best]
        nearest[begin : begin + rows_at_once] = foot[np.arange(len(best)), best]
    return faces, nearest


def _extrapolated_weights(triangles, nearest, points):
    """Weights of the border point nearest to each outside point, moved on towards that point along
    the border triangle's plane, as far as the two bounds above allow."""
    step = points - nearest
    distance = np.linalg.norm(step, axis=1, keepdims=True)
    step *= np.minimum(1, _EXTRAPOLATION_TEXELS / np.maximum(distance, 1e-12))
    at_border = _barycentric(triangles, nearest)
    change = _barycentric(triangles, nearest + step) - at_border
    room = _MAX_BARYCENTRIC - np.abs(at_border)
    fraction = np.min(room / np.maximum(np.abs(change), 1e-12), axis=1, keepdims=True)
    return at_border + np.clip(fraction, 0, 1) * change


def _barycentric(triangles, points):
    """Barycentric weights of 2-D points; triangles (..., 3, 2) broadcast against points."""
    a, b, c = (triangles[..., corner, :] for corner in range(3))
    area = _cross(b - a, c - a)
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    weight_b = _cross(points - a, c - a) / area
    weight_c = _cross(b - a, points - a) / area
    return np.stack([1 - weight_b - weight_c, weight_b, weight_c], axis=-1)


def _cross(first, second):
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
