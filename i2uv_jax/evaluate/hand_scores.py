"""Scores of predicted hands, hand by hand, as FreiHAND's and HO-3D's official scripts compute them.

From those scripts (github.com/lmb-freiburg/freihand, github.com/shreyashampali/ho3d, eval.py):

- keypoints and vertices are each aligned on their own, by the orthogonal Procrustes problem with
  scale, so that a mirrored hand aligns as well;
- HO-3D also aligns keypoints by the wrist and by the distance from wrist to middle MCP;
- curves have 100 thresholds from 0 to 50 mm, both ends included, and "at most" counts;
- a mesh of another topology gets no vertex errors. It is moved as its keypoints are and scored by F
  alone. In doing so the scripts do not divide by the size of the predicted keypoints, which shrinks
  the mesh to about a quarter: `f_aligned_as_script` is that, `f_aligned` the plain similarity.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.alignment import Alignment, align, procrustes_align, scale_and_shift
from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.metrics import f_scores, point_distances

THRESHOLDS_M = np.linspace(0, 0.05, 100)
F_THRESHOLDS_M = (0.005, 0.015)

_BATCH = 32

Scores = Mapping[str, np.ndarray]
"""Arrays by name, one row a hand; NaN where the truth or the prediction is."""


def score_hands(
    keypoints: Float[np.ndarray, "n 21 3"],
    true_keypoints: Float[np.ndarray, "n 21 3"],
    vertices: Float[np.ndarray, "n v 3"] | None,
    true_vertices: Float[np.ndarray, "n 778 3"],
    *,
    reflect: bool = True,
) -> Scores:
    """All scores of all hands. Metres, in one camera's frame.

    Args:
      vertices: None if only keypoints were predicted; another number than the truth's makes it a
        mesh of another topology.
      reflect: as the official scripts; False gives Procrustes alignment without reflections.

    Returns:
      Of keypoints (n, 21) distances "keypoint", "keypoint_root" (from wrist to wrist),
      "keypoint_scaled" (HO-3D) and "keypoint_aligned"; of vertices (n,) means "vertex" and
      "vertex_aligned" and (n, 100) curves "vertex_curve" and "vertex_aligned_curve"; (n, 2)
      F-scores "f", "f_aligned" and for another topology "f_aligned_as_script".
    """
    found = _in_batches(_keypoint_scores, keypoints, true_keypoints, reflect)
    if vertices is None:
        return found
    if vertices.shape[1] == true_vertices.shape[1]:
        return {**found, **_in_batches(_vertex_scores, vertices, true_vertices, reflect)}
    everything = (keypoints, true_keypoints, vertices, true_vertices, reflect)
    return {**found, **_in_batches(_foreign_scores, *everything)}


def curve(errors: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n 100"]:
    """Each hand's share of errors (metres) that are at most each of `THRESHOLDS_M`."""
    return np.stack([(errors <= limit).mean(axis=1) for limit in THRESHOLDS_M], axis=1)


def _in_batches(function: Callable, *arguments) -> Scores:
    """The function of arrays and a flag at the end, on batches of one size: one compilation."""
    *arrays, flag = arguments
    count = len(arrays[0])
    parts = []
    for first in range(0, count, _BATCH):
        piece = [np.asarray(array[first : first + _BATCH], np.float32) for array in arrays]
        used = len(piece[0])
        padded = [np.concatenate([p, np.repeat(p[-1:], _BATCH - used, axis=0)]) for p in piece]
        parts.append(
            {name: np.asarray(value)[:used] for name, value in function(*padded, flag).items()}
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@partial(jax.jit, static_argnames="reflect")
def _keypoint_scores(predicted, true, reflect):
    aligned = procrustes_align(predicted, true, reflect=reflect)
    scaled = scale_and_shift(predicted, true, root=WRIST, other=MIDDLE_MCP)
    moved = predicted - predicted[:, WRIST, None] + true[:, WRIST, None]
    return {
        "keypoint": point_distances(predicted, true),
        "keypoint_root": point_distances(moved, true),
        "keypoint_scaled": point_distances(scaled, true),
        "keypoint_aligned": point_distances(aligned, true),
    }


@partial(jax.jit, static_argnames="reflect")
def _vertex_scores(predicted, true, reflect):
    aligned = procrustes_align(predicted, true, reflect=reflect)
    scores = {}
    for name, points in (("", predicted), ("_aligned", aligned)):
        errors = point_distances(points, true)
        within = errors[:, None, :] <= jnp.asarray(THRESHOLDS_M)[:, None]
        scores[f"vertex{name}"] = errors.mean(axis=-1)
        scores[f"vertex{name}_curve"] = within.mean(axis=-1)
        scores[f"f{name}"] = _f_scores(points, true)
    return scores


@partial(jax.jit, static_argnames="reflect")
def _foreign_scores(keypoints, true_keypoints, vertices, true_vertices, reflect):
    alignment = align(keypoints, true_keypoints, reflect=reflect)
    return {
        "f": _f_scores(vertices, true_vertices),
        "f_aligned": _f_scores(alignment(vertices), true_vertices),
        "f_aligned_as_script": _f_scores(_as_script(alignment, keypoints, vertices), true_vertices),
    }


def _as_script(
    alignment: Alignment, keypoints: Float[Array, "b 21 3"], vertices: Float[Array, "b v 3"]
) -> Float[Array, "b v 3"]:
    """The mesh about its own mean, with the scale not divided by the keypoints' size, and moved by
    as much as the keypoints' mean."""
    centred = keypoints - alignment.source_mean
    size = jnp.sqrt(jnp.sum(centred**2, axis=(-1, -2)))
    mean = vertices.mean(axis=-2, keepdims=True)
    about_mean = Alignment(alignment.scale * size, alignment.rotation, mean, mean)
    return about_mean(vertices) + alignment.target_mean - alignment.source_mean


def _f_scores(predicted, true):
    known = jnp.isfinite(predicted).all(axis=(1, 2)) & jnp.isfinite(true).all(axis=(1, 2))
    # One hand after the other: a batch of distance tables would take gigabytes.
    scores = jax.lax.map(lambda pair: f_scores(*pair, F_THRESHOLDS_M), (predicted, true))
    return jnp.where(known[:, None], scores, jnp.nan)
