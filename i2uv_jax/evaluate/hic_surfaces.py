"""HIC's depth pictures, to be compared with the owners' fits: all the truth it has.

The depth pictures are read as 16-bit millimetres of the colour camera, `SEQ/1/depth/FRAME.png`;
the owners' page does not say so, and a picture of another kind is left out.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.depth_pictures import read_millimetre_depth
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.surfaces import Surface

_NEAR_M = 0.03
"""Depth farther than this from all of the fit's vertices is not the hand's."""


def measured_hands(
    samples: Sequence[Sample], answers: Sequence[Answer], count: int
) -> dict[int, Surface]:
    """What the depth pictures measure of hands, by their places in the lists.

    Args:
      samples: with the fits' vertices.
      answers: those without a mesh of the fits' topology leave their hands out.
      count: the first so many hands at most.
    """
    found: dict[int, Surface] = {}
    for index, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        if len(found) == count:
            break
        if sample.photo is None or answer.vertices is None:
            continue
        if answer.vertices.shape != sample.vertices.shape:
            continue
        points = _points_of_hand(sample)
        if len(points):
            found[index] = Surface(points)
    return found


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
