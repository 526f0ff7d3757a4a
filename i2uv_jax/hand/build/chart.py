"""Relaxing a UV chart: moves its vertices until the chart fills the texture square.

The chart is a disk of triangles in the plane. It is inflated: every triangle wants to become a
scaled copy of its shape on the surface, the scale grows until the square is full, and two barriers
keep the chart's border away from the square's edge and from itself. The energy is the symmetric
Dirichlet energy with a border barrier of

  J. Smith and S. Schaefer, "Bijective parameterization with free boundaries", SIGGRAPH 2015,

minimised by Newton steps whose Hessian is projected per triangle to be positive semi-definite

  J. Teran et al., "Robust quasistatic finite elements and flesh simulation", SCA 2005.

(Z. Jiang, S. Schaefer and D. Panozzo, "Simplicial complex augmentation framework for bijective
maps", SIGGRAPH Asia 2017, fill the empty space with triangles instead of the border barrier; with a
few hundred border edges, testing all pairs is simpler and fast enough.)

No triangle ever turns over and the border never crosses itself; for a disk these two make the map
from chart to surface one to one. Deterministic; NumPy and SciPy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float, Int

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.uv_map import build_tables

_IMPORTANCE_SMOOTHING = 1
"""Rounds of averaging: the vertices that lose most stand alone, so it stays local."""

_TOLERATED_LOSS = 0.7
"""Vertices that lose less than this share of the worst so far keep their importance. Lower values
converge in fewer rounds but take texels from the rest of the chart."""


@dataclass(frozen=True)
class RelaxationConfig:
    """What the relaxed chart should look like. Lengths are in sides of the square."""

    density_exponent: float = 0.55
    """Target UV area of a triangle ~ (its area on the surface) ** this: 1 spends texels by surface
    area, 0 by mesh density."""
    density_smoothing: int = 12
    """Rounds of averaging over neighbours that keep the target density smooth."""
    target_fills: Sequence[float] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
    """Sum of all target areas, step by step. The barriers leave less than the last one asks for."""
    margin: float = 0.015
    """The chart stays at least this far inside the square."""
    wall_reach: float = 0.01
    """The square's edge begins to repel this far inside the margin."""
    gap: float = 0.05
    """Distance at which two parts of the border begin to repel each other."""
    gap_over_arc: float = 0.8
    """The same, as a share of their distance along the border: neighbours there may be close."""
    barrier_weight: float = 1e-3
    """Of both barriers, against a shape energy of 4 for an undistorted chart."""
    newton_steps: int = 12
    """At most this many Newton steps for each of `target_fills`; three times that for the last."""


def relax_chart(
    uv: Float[np.ndarray, "t 2"],
    faces_uv: Int[np.ndarray, "f 3"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    config: RelaxationConfig = RelaxationConfig(),
    importance: Float[np.ndarray, "v"] | None = None,
) -> Float[np.ndarray, "t 2"]:
    """A chart of the same triangles that fills the unit square, one to one and without flips.

    Args:
      uv: the chart to begin with, in any units; a disk without flips or overlaps. Its orientation
        is kept (all triangles clockwise or all counter-clockwise).
      faces_uv: indices into `uv`.
      vertices: the surface, in any unit of length.
      faces: indices into `vertices`, corner by corner beside `faces_uv`.
      config: what to aim for.
      importance: factors on the target UV area around each vertex of the surface; 1 if absent.

    Raises:
      ValueError: the chart to begin with has flips, crosses itself or is no disk.
    """
    uv = np.asarray(uv, np.float64)
    areas = _signed_areas(uv[faces_uv])
    mirrored = areas.sum() < 0
    if mirrored:
        uv, areas = uv * [-1, 1], -areas
    if areas.min() <= 0:
        raise ValueError(f"uv must have no flipped triangles, got {(areas <= 0).sum()}")
    border = _border_loop(faces_uv)
    if _crosses_itself(uv[border]):
        raise ValueError("uv must have a border that does not cross itself, got one that does")

    low, high = uv.min(axis=0), uv.max(axis=0)
    inner = 1 - 2 * (config.margin + config.wall_reach)
    uv = 0.5 + (uv - (low + high) / 2) * inner / (high - low).max()
    target_areas, hat_gradients = _targets(
        uv, faces_uv, vertices[faces], config, None if importance is None else importance[faces]
    )
    shape_areas = target_areas / target_areas.sum()
    for stage, fill in enumerate(config.target_fills):
        last = stage == len(config.target_fills) - 1
        energy = _ChartEnergy(
            faces_uv, hat_gradients / np.sqrt(fill), shape_areas, border, uv, config
        )
        uv = _minimise(energy, uv, config.newton_steps * (3 if last else 1))
    if mirrored:
        uv = uv * [-1, 1] + [1, 0]
    return uv


def refine_chart(
    uv: Float[np.ndarray, "t 2"],
    faces_uv: Int[np.ndarray, "f 3"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    posed_vertices: Float[np.ndarray, "n v 3"],
    config: RelaxationConfig = RelaxationConfig(),
    *,
    rounds: int = 16,
    map_size: int = 256,
) -> Float[np.ndarray, "t 2"]:
    """A relaxed chart with more texels where posed meshes lose most in a UV map.

    Each round measures what every vertex loses at most on its way into a map of `map_size` texels
    and back, raises the importance of those that lose most, and relaxes again.
    Returns the chart of the round with the smallest worst loss (`uv` itself counts).

    Args:
      uv: a chart that `relax_chart` returned, v down as in `Atlas`; the others as there.
      posed_vertices: the surface in many poses and shapes, any unit.
    """
    config = replace(config, target_fills=(config.target_fills[-1],))
    log_importance = np.zeros(len(vertices))
    best, best_loss = uv, np.inf
    for remaining in range(rounds, -1, -1):
        loss = _worst_loss(Atlas(uv, faces, faces_uv, len(vertices)), posed_vertices, map_size)
        if loss.max() < best_loss:
            best, best_loss = uv, loss.max()
        if remaining:
            excess = np.log(np.maximum(loss, 1e-12) / (_TOLERATED_LOSS * best_loss))
            log_importance += np.clip(excess, 0, 1)
            uv = relax_chart(uv, faces_uv, vertices, faces, config, np.exp(log_importance))
    return best


def _worst_loss(atlas, posed_vertices, map_size):
    """Largest distance (v,) over all poses between a vertex and its sample from the UV map."""
    tables = build_tables(atlas, map_size)
    worst = np.zeros(atlas.num_vertices)
    for points in posed_vertices:
        texels = (points[tables.texel_vertices] * tables.texel_weights[..., None]).sum(axis=-2)
        samples = texels.reshape(-1, 3)[tables.vertex_texels]
        samples = (samples * tables.vertex_weights[..., None]).sum(axis=-2)
        worst = np.maximum(worst, np.linalg.norm(samples - points, axis=-1))
    return worst


def _targets(uv, faces_uv, corners, config, importance):
    """Target areas (f,), not scaled, and the gradients (f, 3, 2) of the hat functions on target
    triangles that are scaled to a total area of 1."""
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(edge_1, axis=1)
    areas = np.linalg.norm(np.cross(edge_1, edge_2), axis=1) / 2
    log_density = _smoothed(
        (config.density_exponent - 1) * np.log(areas), faces_uv, config.density_smoothing
    )
    if importance is not None:
        wanted = np.log(importance).max(axis=1)
        log_density = log_density + _smoothed(wanted, faces_uv, _IMPORTANCE_SMOOTHING)
    target_areas = areas * np.exp(log_density)
    scale = np.sqrt(np.exp(log_density) / target_areas.sum())
    # The triangle laid flat: first edge along x, counter-clockwise.
    flat = np.zeros((len(areas), 3, 2))
    flat[:, 1, 0] = length * scale
    flat[:, 2, 0] = (edge_1 * edge_2).sum(axis=1) / length * scale
    flat[:, 2, 1] = 2 * areas / length * scale
    opposite = np.roll(flat, -2, axis=1) - np.roll(flat, -1, axis=1)
    normal = np.stack([-opposite[..., 1], opposite[..., 0]], axis=-1)
    return target_areas, normal / (2 * areas * scale**2)[:, None, None]


def _smoothed(values, faces_uv, rounds):
    """Values of triangles (f,) after some rounds of averaging over their corners' triangles."""
    corners = faces_uv.ravel()
    count = np.maximum(np.bincount(corners), 1)
    for _ in range(rounds):
        values = (np.bincount(corners, np.repeat(values, 3)) / count)[faces_uv].mean(axis=1)
    return values


class _ChartEnergy:
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
        if determinant.min() <= 0 or walls.min() <= 0 or _crosses_itself(uv[self.border]):
            return np.inf
        norm = (deformation**2).sum(axis=(1, 2))
        shape = (self.weights * norm * (1 + determinant**-2)).sum()
        distance = self._close_pairs(uv)[0]
        pairs = distance[:, 0] / distance[:, 1] - 1
        wall = np.maximum(self.config.wall_reach / walls - 1, 0)
        return shape + self.config.barrier_weight * ((pairs**2).sum() + (wall**2).sum())

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
        weight = self.config.barrier_weight
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
        weight = self.config.barrier_weight
        index = _coordinates(self.border[:, None]).reshape(-1, 1)
        gradient = weight * (first[0] - first[1]).reshape(-1, 1)
        return index, gradient, weight * (second[0] + second[1]).reshape(-1, 1, 1)


def _barrier_slopes(reach, distance):
    """First and second derivative of max(reach / distance - 1, 0)^2 by the distance."""
    excess = np.maximum(reach / distance - 1, 0)
    first = -2 * excess * reach / distance**2
    second = 2 * reach**2 / distance**4 + 4 * excess * reach / distance**3
    return first, np.where(excess > 0, second, 0)


def _minimise(energy, uv, steps):
    """Newton's method with a line search that stays where the energy is finite."""
    value = energy.value(uv)
    for _ in range(steps):
        gradient, hessian = energy.derivatives(uv)
        damping = 1e-9 * hessian.diagonal().mean() * scipy.sparse.identity(uv.size)
        step = scipy.sparse.linalg.spsolve(hessian + damping, -gradient).reshape(-1, 2)
        slope = float((step.ravel() * gradient).sum())
        length = 1.0
        while length > 1e-6:
            moved = energy.value(uv + length * step)
            if moved <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            return uv
        uv = uv + length * step
        if value - moved < 1e-5 * value:
            return uv
        value = moved
    return uv


def _border_loop(faces_uv):
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


def _crosses_itself(loop):
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


def _signed_areas(triangles):
    return _cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2


def _determinant(matrices):
    return _cross(matrices[..., 0, :], matrices[..., 1, :])


def _cross(first, second):
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
