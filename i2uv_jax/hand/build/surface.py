"""Questions to a triangle mesh that the build script asks: rays, borders, neighbours, Laplacian."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Surface:
    """A triangle mesh, NumPy only."""

    vertices: np.ndarray  # (v, 3)
    faces: np.ndarray  # (f, 3)

    def distance(self, origin: np.ndarray, direction: np.ndarray) -> float:
        """Distance from `origin` along the unit `direction` to the first hit; inf without one."""
        a, b, c = np.moveaxis(self.vertices[self.faces], 1, 0)
        edge1, edge2 = b - a, c - a
        normal = np.cross(direction, edge2)
        determinant = np.sum(edge1 * normal, -1)
        determinant = np.where(np.abs(determinant) < 1e-12, np.inf, determinant)
        offset = origin - a
        u = np.sum(offset * normal, -1) / determinant
        across = np.cross(offset, edge1)
        v = across @ direction / determinant
        t = np.sum(edge2 * across, -1) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        return float(t[hit].min(initial=np.inf))

    def border(self) -> np.ndarray:
        """Vertices on the open border, in ascending order."""
        edges = np.sort(self.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        unique, counts = np.unique(edges, axis=0, return_counts=True)
        return np.unique(unique[counts == 1])

    def laplacian(self) -> sparse.csr_matrix:
        """Cotangent Laplacian with non-negative edge weights (positive semi-definite)."""
        rows, columns, values = [], [], []
        for corner in range(3):
            i, j, k = (self.faces[:, (corner + s) % 3] for s in range(3))
            u, v = self.vertices[j] - self.vertices[i], self.vertices[k] - self.vertices[i]
            sine = np.linalg.norm(np.cross(u, v), axis=1)
            cotangent = np.clip(np.sum(u * v, 1) / np.maximum(sine, 1e-12), 0.05, 20) / 2
            rows += [j, k]
            columns += [k, j]
            values += [cotangent, cotangent]
        count = len(self.vertices)
        adjacency = sparse.coo_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
            (count, count),
        ).tocsr()
        return sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency

    def smoothing(self) -> sparse.csr_matrix:
        """Row-stochastic matrix that averages each vertex's neighbours."""
        edges = self.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
        both = np.concatenate([edges, edges[:, ::-1]])
        count = len(self.vertices)
        adjacency = sparse.coo_matrix((np.ones(len(both)), both.T), (count, count)).tocsr()
        adjacency.data[:] = 1
        return sparse.diags(1 / np.asarray(adjacency.sum(1)).ravel()) @ adjacency
