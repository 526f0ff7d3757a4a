"""The energy of a UV chart inside the texture square, with its derivatives.

Every triangle wants to become a scaled copy of its shape on the surface (symmetric Dirichlet
energy); two barriers keep the chart's border away from the square's edge and from itself:

  J. Smith and S. Schaefer, "Bijective parameterization with free boundaries", SIGGRAPH 2015.

The Hessian is projected per triangle to be positive semi-definite:

  J. Teran et al., "Robust quasistatic finite elements and flesh simulation", SCA 2005.

(Z. Jiang, S. Schaefer and D. Panozzo, "Simplicial complex augmentation framework for bijective
maps", SIGGRAPH Asia 2017, fill the empty space with triangles instead of the border barrier; with a
few hundred border edges, testing all pairs is simpler and fast enough.)
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse


@dataclass(frozen=True)
class BarrierConfig:
    """How the chart's border is kept apart. Lengths are in sides of the square."""

    margin: float = 0.015
    """The chart stays at least this far inside the square."""
    wall_reach: float = 0.01
    """The square's edge begins to repel this far inside the margin."""
    gap: float = 0.05
    """Distance at which two parts of the border begin to repel each other."""
    gap_over_arc: float = 0.8
    """The same, as a share of their distance along the border: neighbours there may be close."""
    weight: float = 1e-3
    """Of both barriers, against a shape energy of 4 for an undistorted chart."""


class ChartEnergy:
    """Value, gradient and projected Hessian of the chart's energy at one target size."""

    def __init__(self, faces_uv, hat_gradients, weights, border, uv, config):
        self.faces, self.hats, self.weights = faces_uv, hat_gradients, weights
        self.border, self.config = border, config
        loop = uv[border]
        lengths = np.linalg.norm(np.roll(loop, -1, axis=0) - loop, axis=1)
        start = np.concatenate([[0], np.cumsum(lengths)])
        # Distance along the border from each vertex to the nearer end of each edge.
        to_start = np.abs(start[:-1, None] - start[None, :-1])
        to_end = np.abs(start[:-1, None] - start[None, 1:])
        arc = np.minimum(
            np.minimum(to_start, start[-1] - to_start), np.minimum(to_end, start[-1] - to_end)
        )
        self.reach = np.minimum(config.gap, config.gap_over_arc * arc)

    def value(self, uv):
        """Energy; infinite where a triangle is flipped or the border leaves or crosses itself."""
        deformation = np.einsum("fki,fkj->fij", uv[self.faces], self.hats)
        determinant = _determinant(deformation)
        walls = self._wall_distances(uv)
        if determinant.min() <= 0 or walls.min() <= 0 or crosses_itself(uv[self.border]):
            return np.inf
        norm = (deformation**2).sum(axis=(1, 2))
        shape = (self.weights * norm * (1 + determinant**-2)).sum()
        distance = self._close_pairs(uv)[0]
        pairs = distance[:, 0] / distance[:, 1] - 1
        wall = np.maximum(self.config.wall_reach / walls - 1, 0)
        return shape + self.config.weight * ((pairs**2).sum() + (wall**2).sum())

    def derivatives(self, uv):
        """Gradient (2t,) and sparse positive semi-definite Hessian (2t, 2t)."""
        blocks = [self._shape_terms(uv), self._pair_terms(uv), self._wall_terms(uv)]
        size = uv.size
        gradient = np.zeros(size)
        rows, columns, values = [], [], []
        for index, first, second in blocks:
            np.add.at(gradient, index.ravel(), first.ravel())
            rows.append(np.broadcast_to(index[:, :, None], second.shape).ravel())
            columns.append(np.broadcast_to(index[:, None, :], second.shape).ravel())
            values.append(second.ravel())
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return gradient, scipy.sparse.coo_matrix(entries, shape=(size, size)).tocsc()

    def _shape_terms(self, uv):
        """Symmetric Dirichlet energy |F|^2 (1 + det(F)^-2), which is |F|^2 + |F^-1|^2 in 2-D."""
        deformation = np.einsum("fki,fkj->fij", uv[self.faces], self.hats)
        f = deformation.reshape(-1, 4)
        norm = (f**2).sum(axis=1)[:, None]
        det = _determinant(deformation)[:, None]
        det_gradient = f[:, [3, 2, 1, 0]] * [1, -1, -1, 1]
        det_hessian = np.fliplr(np.diag([1.0, -1.0, -1.0, 1.0]))
        first = 2 * f * (1 + det**-2) - 2 * norm * det**-3 * det_gradient
        mixed = f[:, :, None] * det_gradient[:, None, :]
        norm, det = norm[..., None], det[..., None]
        second = (
            2 * (1 + det**-2) * np.eye(4)
            - 4 * det**-3 * (mixed + mixed.transpose(0, 2, 1))
            + 6 * norm * det**-4 * det_gradient[:, :, None] * det_gradient[:, None, :]
            - 2 * norm * det**-3 * det_hessian
        )
        values, vectors = np.linalg.eigh(second)
        second = (vectors * np.maximum(values, 0)[:, None, :]) @ vectors.transpose(0, 2, 1)
        # d F[i, j] / d uv[k, i] = hats[k, j].
        chain = np.zeros((len(f), 2, 2, 3, 2))
        for axis in range(2):
            chain[:, axis, :, :, axis] = self.hats.transpose(0, 2, 1)
        chain = chain.reshape(-1, 4, 6)
        weights = self.weights[:, None]
        gradient = weights * np.einsum("fa,fab->fb", first, chain)
        hessian = weights[..., None] * (chain.transpose(0, 2, 1) @ second @ chain)
        return _coordinates(self.faces), gradient, hessian

    def _close_pairs(self, uv):
        """Border vertices near border edges: (reach, distance) (p, 2), vertex indices (p, 3) of
        point, edge start and edge end, and the gradient of the distance (p, 6)."""
        loop = uv[self.border]
        along = np.roll(loop, -1, axis=0) - loop
        offset = loop[:, None] - loop[None]
        fraction = np.clip((offset * along).sum(axis=-1) / (along**2).sum(axis=-1), 0, 1)
        distance = np.linalg.norm(offset - fraction[..., None] * along, axis=-1)
        point, edge = np.nonzero(distance < self.reach)
        distance, fraction = distance[point, edge], fraction[point, edge, None]
        direction = (offset[point, edge] - fraction * along[edge]) / distance[:, None]
        slope = np.concatenate(
            [direction, -(1 - fraction) * direction, -fraction * direction], axis=1
        )
        following = (edge + 1) % len(loop)
        vertices = self.border[np.stack([point, edge, following], axis=1)]
        return np.stack([self.reach[point, edge], distance], axis=1), vertices, slope

    def _pair_terms(self, uv):
        """Border barrier (reach / distance - 1)^2; the distance's own curvature is left out."""
        pairs, vertices, slope = self._close_pairs(uv)
        first, second = _barrier_slopes(pairs[:, 0], pairs[:, 1])
        weight = self.config.weight
        return (
            _coordinates(vertices),
            weight * first[:, None] * slope,
            weight * second[:, None, None] * slope[:, :, None] * slope[:, None, :],
        )

    def _wall_distances(self, uv):
        loop = uv[self.border]
        return np.stack([loop, 1 - loop]) - self.config.margin

    def _wall_terms(self, uv):
        """The same barrier between the border and the square's margin."""
        first, second = _barrier_slopes(self.config.wall_reach, self._wall_distances(uv))
        weight = self.config.weight
        index = _coordinates(self.border[:, None]).reshape(-1, 1)
        gradient = weight * (first[0] - first[1]).reshape(-1, 1)
        return index, gradient, weight * (second[0] + second[1]).reshape(-1, 1, 1)


def _barrier_slopes(reach, distance):
    """First and second derivative of max(reach / distance - 1, 0)^2 by the distance."""
    excess = np.maximum(reach / distance - 1, 0)
    first = -2 * excess * reach / distance**2
    second = 2 * reach**2 / distance**4 + 4 * excess * reach / distance**3
    return first, np.where(excess > 0, second, 0)


def border_loop(faces_uv):
    """Vertices of the chart's only border, in order, the chart on the left."""
    edges = faces_uv[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    _, first, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    edges = edges[first[count == 1]]
    following = dict(edges)
    loop = [int(edges[0, 0])]
    while len(loop) < len(edges) and following[loop[-1]] != loop[0]:
        loop.append(int(following[loop[-1]]))
    if len(loop) != len(edges):
        raise ValueError(f"uv must be a disk, got a loop of {len(loop)} of {len(edges)} edges")
    return np.array(loop)


def crosses_itself(loop):
    """Whether any two edges of the closed polygon (b, 2) that share no vertex meet."""
    end = np.roll(loop, -1, axis=0)
    along = end - loop
    side_start = _cross(along[:, None], loop[None] - loop[:, None])
    side_end = np.roll(side_start, -1, axis=1)
    # The line through the first edge separates the second's ends, or passes through them.
    separates = side_start * side_end <= 0
    # Edges on one line separate each other wherever they are; they meet only if their boxes do.
    low, high = np.minimum(loop, end), np.maximum(loop, end)
    boxes_meet = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=-1)
    count = len(loop)
    steps = np.abs(np.arange(count)[:, None] - np.arange(count))
    apart = (steps > 1) & (steps < count - 1)
    return bool((separates & separates.T & boxes_meet & apart).any())


def _coordinates(vertices):
    """Indices of both coordinates of (n, k) vertices in the flattened unknowns: (n, 2k)."""
    return (2 * vertices[..., None] + np.arange(2)).reshape(len(vertices), 2 * vertices.shape[1])


def signed_areas(triangles):
    return _cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2


def _determinant(matrices):
    return _cross(matrices[..., 0, :], matrices[..., 1, :])


def _cross(first, second):
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
