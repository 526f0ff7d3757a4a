"""Loop subdivision of a mesh and its atlas, as a linear operator that is worked out once.

Loop's rules (Loop 1987, "Smooth subdivision surfaces based on triangles"; masks of limit points as
in Hoppe et al. 1994, "Piecewise smooth surface reconstruction") depend on the triangles alone, so
each vertex of the fine mesh is a fixed weighted sum of vertices of the coarse one: a gather,
linear, jit-able and differentiable. Borders follow the rules of cubic B-splines and keep to
themselves.

Texture coordinates are split at midpoints: the fine atlas covers the same chart with the same
surface coordinates, and a vertex on a seam stays one vertex with several coordinates.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.uv_map import UvTables


@struct.dataclass
class GatherTable:
    """A sparse matrix by rows, padded with zero weights to the longest row."""

    columns: Int[np.ndarray, "*n k"]
    weights: Float[np.ndarray, "*n k"]


@dataclass(frozen=True, eq=False)
class Subdivision:
    """A finer mesh on the smooth limit surface of a coarse one."""

    atlas: Atlas
    """The fine mesh: four times the triangles for every level, the coarse vertices first."""
    limit: GatherTable
    """Fine vertices, moved to their places on the limit surface, from the coarse vertices."""
    counter: GatherTable
    """What the coarse vertices are replaced by beforehand, so that the surface does not shrink."""


def subdivide_vertices(
    subdivision: Subdivision, vertices: Float[Array, "*b v d"]
) -> Float[Array, "*b n d"]:
    """Vertices of the fine mesh, on a smooth surface close to the coarse vertices.

    Loop's limit surface of a convex mesh lies inside it: a finger would lose tenths of a
    millimetre all around. With L the map to limit positions, 2v - Lv in place of v makes up for it
    to first order, and unlike exact interpolation does not swing between the vertices.
    """
    return apply_table(subdivision.limit, apply_table(subdivision.counter, vertices))


def apply_table(table: GatherTable, values: Float[Array, "*b v d"]) -> Float[Array, "... d"]:
    """The sparse matrix times values at vertices, NumPy's or JAX's."""
    return (values[..., table.columns, :] * table.weights[..., None]).sum(axis=-2)


@lru_cache(maxsize=8)
def subdivide_atlas(atlas: Atlas, levels: int = 2) -> Subdivision:
    """Splits every triangle into four, `levels` times (NumPy, cached per atlas and level).

    Raises:
      ValueError: levels is below 1, or an edge belongs to more than two triangles.
    """
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    fine = atlas
    table = None
    for _ in range(levels):
        refined, rule = _refine(fine)
        table = rule if table is None else _compose(rule, table)
        fine = refined
    limit_of_coarse = _limit_rule(atlas)
    rows = np.arange(atlas.num_vertices)
    counter = _table(
        np.concatenate([rows, np.repeat(rows, limit_of_coarse.columns.shape[1])]),
        np.concatenate([rows, limit_of_coarse.columns.ravel()]),
        np.concatenate([np.full(len(rows), 2.0), -limit_of_coarse.weights.ravel()]),
        len(rows),
    )
    return Subdivision(
        atlas=fine, limit=_single(_compose(_limit_rule(fine), table)), counter=_single(counter)
    )


def subdivided_texels(atlas: Atlas, tables: UvTables, levels: int = 2) -> GatherTable:
    """Texels of a UV map from the vertices of the fine mesh, (size, size, 3).

    The fine triangles lie in the coarse ones, so that a texel's triangle is found by going down
    from the coarse one, which is a hundred times as fast as `build_tables` of the fine atlas. Past
    the chart's border the fine triangle at the border is continued, as far as `tables` say.
    """
    faces = atlas.faces
    by_corners = {tuple(corners): index for index, corners in enumerate(faces.tolist())}
    corners = tables.texel_vertices.reshape(-1, 3)
    face = np.array([by_corners[tuple(one)] for one in corners.tolist()])
    weights = tables.texel_weights.reshape(-1, 3).astype(np.float64)
    for _ in range(levels):
        # Children as in `_split`: at each corner, (a, ab, ca), (ab, b, bc) and (ca, bc, c), a point
        # has that corner's weight doubled less one and the other two doubled; in the middle,
        # (ab, bc, ca), where no weight reaches a half, one less twice the opposite corner's.
        a, b, c = (2 * weights).T
        children = np.stack(
            [
                np.stack([a - 1, b, c], axis=-1),
                np.stack([a, b - 1, c], axis=-1),
                np.stack([a, b, c - 1], axis=-1),
                np.stack([1 - c, 1 - a, 1 - b], axis=-1),
            ]
        )
        greatest = weights.argmax(axis=1)
        child = np.where(weights.max(axis=1) >= 0.5, greatest, 3)
        weights = children[child, np.arange(len(child))]
        face = 4 * face + child
    fine = subdivide_atlas(atlas, levels).atlas
    return GatherTable(
        columns=fine.faces[face].reshape(tables.size, tables.size, 3),
        weights=weights.astype(np.float32).reshape(tables.size, tables.size, 3),
    )


def _refine(atlas):
    """One level: the finer atlas, and its vertices as weighted sums of the old ones."""
    ends, edge_of_corner, is_border = _edges(atlas.faces)
    first_new = atlas.num_vertices
    corner_rows = first_new + edge_of_corner
    on_border = is_border[edge_of_corner]
    corners = atlas.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    opposite = atlas.faces[:, [2, 0, 1]].ravel()
    # Each of an edge's two triangles brings its half of (3, 3, 1, 1) / 8.
    end_weight = np.where(on_border, 1 / 2, 3 / 16)
    even = _vertex_rule(ends, is_border, atlas.num_vertices, _loop_weight, 1 / 8)
    parts = [
        even,
        (corner_rows, corners[:, 0], end_weight),
        (corner_rows, corners[:, 1], end_weight),
        (corner_rows, opposite, np.where(on_border, 0, 1 / 8)),
    ]
    rule = _table(
        *(np.concatenate(part) for part in zip(*parts, strict=True)), first_new + len(ends)
    )

    uv_ends, uv_edge_of_corner, _ = _edges(atlas.faces_uv)
    refined = Atlas(
        uv=np.concatenate([atlas.uv, atlas.uv[uv_ends].mean(axis=1)]),
        faces=_split(atlas.faces, corner_rows),
        faces_uv=_split(atlas.faces_uv, len(atlas.uv) + uv_edge_of_corner),
        num_vertices=first_new + len(ends),
    )
    return refined, rule


def _edges(faces):
    """Ends of each edge, the edge of each triangle's side, and whether an edge is a border."""
    sides = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    ends, edge_of_side, count = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    if count.max() > 2:
        raise ValueError(f"an edge must belong to at most 2 triangles, one has {count.max()}")
    return ends, edge_of_side.ravel(), count == 1


def _split(faces, middles):
    """The four triangles of each triangle: at its corners, then in its middle."""
    a, b, c = faces.T
    ab, bc, ca = middles.reshape(-1, 3).T
    children = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.stack([np.stack(child, axis=-1) for child in children], axis=1).reshape(-1, 3)


def _loop_weight(valence):
    """Weight of each neighbour in the next position of an inner vertex."""
    return (5 / 8 - (3 / 8 + np.cos(2 * np.pi / valence) / 4) ** 2) / valence


def _limit_weight(valence):
    """Weight of each neighbour in the final position of an inner vertex."""
    return 1 / (3 / (8 * _loop_weight(valence)) + valence)


def _limit_rule(atlas):
    ends, _, is_border = _edges(atlas.faces)
    rule = _vertex_rule(ends, is_border, atlas.num_vertices, _limit_weight, 1 / 6)
    return _table(*rule, atlas.num_vertices)


def _vertex_rule(ends, is_border, num_vertices, inner_weight, border_weight):
    """(row, column, weight) triplets: neighbours by these weights, the vertex itself by the rest.

    Vertices on the border see only their neighbours along the border.
    """
    valence = np.bincount(ends.ravel(), minlength=num_vertices)
    on_border = np.zeros(num_vertices, bool)
    on_border[ends[is_border]] = True
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    along_border = np.tile(is_border, 2)
    weights = np.where(
        on_border[rows], np.where(along_border, border_weight, 0), inner_weight(valence[rows])
    )
    own = 1 - np.bincount(rows, weights, minlength=num_vertices)
    every = np.arange(num_vertices)
    return (
        np.concatenate([every, rows]),
        np.concatenate([every, columns]),
        np.concatenate([own, weights]),
    )


def _table(rows, columns, weights, num_rows):
    """Triplets as a table; those of one place are added up, zeros left out."""
    width = columns.max() + 1
    places, group = np.unique(rows.astype(np.int64) * width + columns, return_inverse=True)
    sums = np.bincount(group.ravel(), weights)
    places, sums = places[sums != 0], sums[sums != 0]
    rows, columns = places // width, places % width
    count = np.bincount(rows, minlength=num_rows)
    slot = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    table = GatherTable(
        columns=np.zeros((num_rows, count.max()), np.int32),
        weights=np.zeros((num_rows, count.max())),
    )
    table.columns[rows, slot] = columns
    table.weights[rows, slot] = sums
    return table


def _compose(outer, inner):
    """The table of applying `inner` first, then `outer`."""
    num_rows, length = outer.columns.shape
    columns = inner.columns[outer.columns]
    weights = outer.weights[..., None] * inner.weights[outer.columns]
    rows = np.repeat(np.arange(num_rows), length * inner.columns.shape[1])
    used = weights.ravel() != 0
    return _table(rows[used], columns.ravel()[used], weights.ravel()[used], num_rows)


def _single(table):
    return GatherTable(columns=table.columns, weights=table.weights.astype(np.float32))
