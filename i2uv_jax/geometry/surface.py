"""Points on triangle meshes and distances to them. NumPy and k-d trees, on the host."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from i2uv_jax.geometry.host_normals import unit

_NORMAL_NEIGHBOURS = 12
_CANDIDATES = 8


@dataclass(frozen=True)
class SurfaceSamples:
    """Points spread evenly over a surface."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    """Unit normals, smoothed over neighbouring points: scans are rough."""
    faces: Int[np.ndarray, "n"]
    """The triangle that each point lies in."""


def sample_surface(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], count: int
) -> SurfaceSamples:
    """Points drawn evenly by area; the same mesh gives the same points.

    Raises:
      ValueError: the mesh has no area.
    """
    corners = np.asarray(vertices, np.float64)[faces]
    area_vectors = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(area_vectors, axis=1)
    total = np.cumsum(area)
    if not len(total) or not total[-1] > 0:
        raise ValueError("its triangles have no area")
    rng = np.random.default_rng(0)
    # Even steps with a common offset spread the points better than independent draws.
    steps = (np.arange(count) + rng.random()) / count * total[-1]
    face = np.minimum(np.searchsorted(total, steps), len(total) - 1)
    first, second = rng.random((2, count))
    folded = first + second > 1
    first, second = np.where(folded, 1 - first, first), np.where(folded, 1 - second, second)
    weights = np.stack([1 - first - second, first, second], axis=-1)
    points = (weights[..., None] * corners[face]).sum(axis=1)
    normals = area_vectors[face] / np.maximum(area[face], 1e-300)[:, None]
    _, near = cKDTree(points).query(points, k=min(_NORMAL_NEIGHBOURS, count))
    near = near.reshape(count, -1)
    # Neighbours on the other side of a thin part do not count.
    same_side = (normals[near] * normals[:, None]).sum(axis=-1, keepdims=True) > 0
    return SurfaceSamples(points, unit((normals[near] * same_side).sum(axis=1)), face)


class DistanceTo:
    """Distances of points from one surface.

    Exact to the triangles around the nearest of `samples`, which lie densely.
    """

    def __init__(
        self,
        vertices: Float[np.ndarray, "v 3"],
        faces: Int[np.ndarray, "f 3"],
        samples: SurfaceSamples,
    ) -> None:
        self._corners = np.asarray(vertices, np.float64)[faces]
        self._sample_faces = samples.faces
        self._tree = cKDTree(samples.points)

    def __call__(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
        _, near = self._tree.query(points, k=_CANDIDATES)
        candidates = self._corners[self._sample_faces[near]]
        squared = _squared_distance(points[:, None], *np.moveaxis(candidates, -2, 0))
        return np.sqrt(squared.min(axis=1))


def _squared_distance(point, a, b, c):
    """Of points from triangles: the foot inside the triangle if there is one, else on an edge."""
    best = np.min(
        [
            _squared_distance_from_edge(point, start, stop)
            for start, stop in ((a, b), (b, c), (c, a))
        ],
        axis=0,
    )
    ab, ac, ap = b - a, c - a, point - a
    normal = np.cross(ab, ac)
    squared = np.maximum((normal * normal).sum(axis=-1), 1e-300)
    second = (np.cross(ab, ap) * normal).sum(axis=-1) / squared
    first = (np.cross(ap, ac) * normal).sum(axis=-1) / squared
    inside = (first >= 0) & (second >= 0) & (first + second <= 1)
    height = (ap * normal).sum(axis=-1) ** 2 / squared
    return np.where(inside, height, best)


def _squared_distance_from_edge(point, start, stop):
    along, offset = stop - start, point - start
    share = (offset * along).sum(axis=-1) / np.maximum((along * along).sum(axis=-1), 1e-300)
    gap = offset - np.clip(share, 0, 1)[..., None] * along
    return (gap * gap).sum(axis=-1)
