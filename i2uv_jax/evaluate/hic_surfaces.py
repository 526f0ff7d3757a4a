"""HIC's depth pictures and predicted meshes beside the owners' fits: all the truth it has.

The depth pictures are read as 16-bit millimetres of the colour camera, `SEQ/1/depth/FRAME.png`;
the owners' page does not say so, and a picture of another kind is left out.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.depth_pictures import read_millimetre_depth
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.surfaces import Surface, compare, mean_comparison
from i2uv_jax.geometry.alignment import align

_NEAR_M = 0.03
"""Depth farther than this from all of the fit's vertices is not the hand's."""


def hic_surface_table(
    samples: Sequence[Sample], answers: Sequence[Answer], faces: Int[np.ndarray, "f 3"], count: int
) -> dict[str, dict[str, float]]:
    """The depth map's, and the rigidly aligned predicted mesh's, distances from the fits.

    Args:
      samples: with the fits' vertices.
      answers: with meshes of the same topology; others are left out.
      faces: of both.
      count: at most so many hands that have both depth and mesh are compared.

    Returns:
      Means over those hands by row; nothing if there are none.
    """
    rows: dict[str, list[dict[str, float]]] = {"depth map": [], "predicted mesh": []}
    for sample, answer in zip(samples, answers, strict=True):
        if len(rows["depth map"]) == count:
            break
        if sample.photo is None or answer.vertices is None:
            continue
        if answer.vertices.shape != sample.vertices.shape:
            continue
        measured = _points_of_hand(sample)
        if not len(measured):
            continue
        truth = Surface(sample.vertices, faces)
        vertices = answer.vertices
        moved = np.asarray(align(vertices, sample.vertices, scale=False)(vertices))
        rows["depth map"].append(compare(Surface(measured), truth))
        rows["predicted mesh"].append(compare(Surface(moved, faces), truth))
    return {name: mean_comparison(found) for name, found in rows.items() if found}


def _points_of_hand(sample: Sample) -> Float[np.ndarray, "n 3"]:
    """What the depth picture measures near the fit; nothing without one."""
    depth = read_millimetre_depth(sample.photo.image_path)
    if depth is None:
        return np.zeros((0, 3))
    down, across = np.nonzero(depth > 0)
    place = np.stack([across, down], axis=1) + 0.5 - np.array(sample.photo.principal_px)
    z = depth[down, across]
    points = np.concatenate([place / sample.photo.focal_px, np.ones((len(z), 1))], axis=1)
    points *= z[:, None]
    distance, _ = cKDTree(sample.vertices).query(points, distance_upper_bound=_NEAR_M)
    return points[np.isfinite(distance)]
