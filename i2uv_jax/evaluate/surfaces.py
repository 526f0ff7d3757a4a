"""How near measured or predicted surfaces come to the true one, both ways.

The protocol of the paper's claim that a super-resolved mesh is better than the depth map: every
surface is compared with the true one, predicted ones after an alignment (`predicted_surfaces`).
From the surface to the truth says how noisy it is, from the truth to the surface how complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from i2uv_jax.geometry.surface import DistanceTo, sample_surface

NEAR_MM = 2.0
"""A part of the true surface counts as there if the other comes as near as this; the same limit
tells which part of the other is accurate."""

_NUM_SAMPLES = 20_000
_NUM_POINTS = 4000


@dataclass(frozen=True)
class Surface:
    """Triangles or, without `faces`, bare points. Metres."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"] | None = None


def compare(surface: Surface, truth: Surface) -> dict[str, float]:
    """Distances in millimetres between a surface and the true mesh; as shares of their areas
    (of its points, for bare points), what is "accurate" of the surface and what of the truth the
    surface has: "complete".

    Raises:
      ValueError: the surface is empty or has no area.
    """
    if not len(surface.vertices):
        raise ValueError("the surface is empty")
    true_samples = sample_surface(truth.vertices, truth.faces, _NUM_SAMPLES)
    true_points = true_samples.points[:: _NUM_SAMPLES // _NUM_POINTS]
    points = surface.vertices
    if surface.faces is None:
        back = cKDTree(points).query(true_points)[0]
    else:
        samples = sample_surface(points, surface.faces, _NUM_SAMPLES)
        back = DistanceTo(points, surface.faces, samples)(true_points)
        points = samples.points[:: _NUM_SAMPLES // _NUM_POINTS]
    there = DistanceTo(truth.vertices, truth.faces, true_samples)(points)
    return {
        "to_truth_mean_mm": float(1000 * there.mean()),
        "to_truth_median_mm": float(1000 * np.median(there)),
        "from_truth_mean_mm": float(1000 * back.mean()),
        "from_truth_median_mm": float(1000 * np.median(back)),
        "accurate": float((1000 * there <= NEAR_MM).mean()),
        "complete": float((1000 * back <= NEAR_MM).mean()),
    }


def uv_surface(points: Float[np.ndarray, "m m 3"], mask: Bool[np.ndarray, "m m"]) -> Surface:
    """The mesh of a UV map's texels: two triangles between every four neighbours in the chart."""
    size = len(mask)
    number = np.arange(size * size).reshape(size, size)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    whole = mask[:-1, :-1] & mask[:-1, 1:] & mask[1:, :-1] & mask[1:, 1:]
    faces = np.concatenate(
        [np.stack(corners, axis=-1)[whole] for corners in ((a, c, b), (b, c, d))]
    )
    return Surface(points.reshape(-1, 3), faces)


def mean_comparison(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over hands."""
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}
