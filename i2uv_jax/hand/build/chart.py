"""Relaxing a UV chart: moves its vertices until the chart fills the texture square.

The chart is a disk of triangles in the plane. It is inflated: the scale that its triangles aim for
grows until the square is full, by Newton steps on the energy of `chart_energy.py`.

No triangle ever turns over and the border never crosses itself; for a disk these two make the map
from chart to surface one to one. Deterministic; NumPy and SciPy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float, Int

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.uv_map import build_tables, texel_values
from i2uv_jax.hand.build.chart_energy import (
    BarrierConfig,
    ChartEnergy,
    border_loop,
    crosses_itself,
    signed_areas,
)

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
    barriers: BarrierConfig = field(default_factory=BarrierConfig)
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
    areas = signed_areas(uv[faces_uv])
    mirrored = areas.sum() < 0
    if mirrored:
        uv, areas = uv * [-1, 1], -areas
    if areas.min() <= 0:
        raise ValueError(f"uv must have no flipped triangles, got {(areas <= 0).sum()}")
    border = border_loop(faces_uv)
    if crosses_itself(uv[border]):
        raise ValueError("uv must have a border that does not cross itself, got one that does")

    low, high = uv.min(axis=0), uv.max(axis=0)
    inner = 1 - 2 * (config.barriers.margin + config.barriers.wall_reach)
    uv = 0.5 + (uv - (low + high) / 2) * inner / (high - low).max()
    target_areas, hat_gradients = _targets(
        uv, faces_uv, vertices[faces], config, None if importance is None else importance[faces]
    )
    shape_areas = target_areas / target_areas.sum()
    for stage, fill in enumerate(config.target_fills):
        last = stage == len(config.target_fills) - 1
        energy = ChartEnergy(
            faces_uv, hat_gradients / np.sqrt(fill), shape_areas, border, uv, config.barriers
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
        texels = texel_values(tables, points)
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
