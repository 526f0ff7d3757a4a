"""Predictions in MANO's topology, from models of MANO's UV maps and from those of the default hand.

MANO and its layout are the user's own files. A model that was trained on that layout yields MANO's
vertices at once. For the default hand there is a correspondence of the two surfaces: the rigged
hand is fitted to MANO's template (as to any scan), and each of MANO's vertices becomes a fixed
weighted mean of the default hand's. What that leaves is `SurfaceMap.error_mm`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from i2uv_jax.evaluate.articulation import Skinning, skinning_of
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES
from i2uv_jax.geometry.subdivision import apply_table
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.mano import Mano
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_picture_model

_CANDIDATES = 12


@dataclass(frozen=True)
class SurfaceHand:
    """What `Predictor` needs of a hand, for MANO."""

    atlas: Atlas
    faces: Int[np.ndarray, "f 3"]
    keypoint_regressor: Float[np.ndarray, "21 v"]
    mean_bone_length_m: float


@dataclass(frozen=True)
class SurfaceMap:
    """From one mesh's vertices to those of another one on the same surface."""

    matrix: Float[np.ndarray, "n v"]
    error_mm: float
    """Mean distance of MANO's template from the default hand that was fitted to it."""

    def __call__(self, vertices: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "n 3"]:
        return self.matrix @ vertices


@dataclass(frozen=True)
class BenchmarkModel:
    """A model, and how its meshes become those of a benchmark."""

    predictor: Predictor
    mano: Mano | None
    to_mano: SurfaceMap | None
    """None without MANO, and for models of MANO's own UV maps."""

    @property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        """Triangles of the meshes that are scored."""
        return self.predictor.hand.faces if self.mano is None else self.mano.faces

    @property
    def skinning(self) -> Skinning:
        """Of the hand whose UV maps the model predicts."""
        is_mano = isinstance(self.predictor.hand, SurfaceHand)
        return skinning_of(self.mano if is_mano else self.predictor.hand)


def mano_hand(mano: Mano, atlas: Atlas) -> SurfaceHand:
    """MANO laid out on an atlas.

    Raises:
      ValueError: the atlas is of another mesh.
    """
    if atlas.num_vertices != len(mano.template):
        raise ValueError(
            f"the layout is of {atlas.num_vertices} vertices, MANO has {len(mano.template)}"
        )
    keypoints = mano.keypoint_regressor @ mano.template
    start, end = np.array(KEYPOINT_EDGES).T
    length = np.linalg.norm(keypoints[end] - keypoints[start], axis=1).sum()
    return SurfaceHand(atlas, atlas.faces, mano.keypoint_regressor, float(length))


def load_predictor(
    name_or_path: str | os.PathLike,
    *,
    batch_size: int,
    mano: Mano | None = None,
    template_path: Path | None = None,
) -> Predictor:
    """A model of the default hand or, with both MANO files, of MANO, whichever it was trained on.

    Raises:
      ValueError: no such model or layout, a broken file, or one trained on yet another atlas.
    """
    config, variables, metadata = load_picture_model(find_model(name_or_path))
    hand = None
    if mano is not None and template_path is not None:
        atlas = Atlas.from_obj(template_path)
        if metadata.get("atlas") == atlas.fingerprint:
            hand = mano_hand(mano, atlas)
    return Predictor(
        config, variables, name=os.fspath(name_or_path), metadata=metadata, batch_size=batch_size,
        hand=hand,
    )  # fmt: skip


def default_hand_to_mano(hand: Hand, mano: Mano) -> SurfaceMap:
    """The correspondence of the two surfaces; takes minutes, most of them compiling the fit.

    Raises:
      ValueError: MANO's template is not like a hand.
    """
    from i2uv_jax.registration.fitting import HandFitter, NoHandError
    from i2uv_jax.registration.scan import Scan

    fitter = HandFitter(hand)
    try:
        found = fitter.fit(Scan(mano.template, mano.faces), handedness="right", unit="m")
    except NoHandError as error:
        raise ValueError(f"MANO's template: {error}") from error
    template = found.similarity(np.asarray(mano.template, np.float64))
    skinning = np.asarray(fitter.model.posed(found.parameters).vertices)
    normals = vertex_normals(template, mano.faces)
    return surface_map(hand, skinning, found.surface_vertices, template, normals)


def surface_map(
    hand: Hand,
    skinning: Float[np.ndarray, "v 3"],
    surface: Float[np.ndarray, "s 3"],
    target: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
) -> SurfaceMap:
    """Target vertices from the hand's, where both lie in one place.

    Args:
      hand: the source's topology.
      skinning: its vertices.
      surface: its subdivision's (`subdivision_of`) vertices, on the target's surface.
      target: vertices whose nearest points on `surface` are looked for, among those that face the
        same way: fingers lie side by side.
      normals: of the target's vertices, of any length.
    """
    fine = subdivision_of(hand)
    faces = fine.atlas.faces
    corners = np.asarray(surface, np.float64)[faces]
    _, near = cKDTree(corners.mean(axis=1)).query(target, k=_CANDIDATES)
    weights, feet = _nearest_in_triangles(target[:, None], corners[near])
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[near]
    away = (facing * normals[:, None]).sum(axis=-1) < 0
    distance = np.linalg.norm(feet - target[:, None], axis=-1)
    best = (distance + 1e3 * away).argmin(axis=1)
    rows = np.arange(len(target))
    used = faces[near[rows, best]]
    weights = weights[rows, best]
    limit = np.zeros((len(target), hand.num_vertices))
    for corner in range(3):
        columns = fine.limit.columns[used[:, corner]]
        values = fine.limit.weights[used[:, corner]] * weights[:, corner, None]
        np.add.at(limit, (rows[:, None], columns), values)
    matrix = limit @ apply_table(fine.counter, np.eye(hand.num_vertices))
    error = np.linalg.norm(matrix @ skinning - target, axis=1).mean()
    return SurfaceMap(matrix.astype(np.float32), float(1000 * error))


def _nearest_in_triangles(points, corners):
    """Barycentric weights, clipped to the triangle, and the places they stand for."""
    a, b, c = np.moveaxis(corners, -2, 0)
    ab, ac, ap = b - a, c - a, points - a
    normal = np.cross(ab, ac)
    squared = np.maximum((normal * normal).sum(-1), 1e-300)
    third = (np.cross(ab, ap) * normal).sum(-1) / squared
    second = (np.cross(ap, ac) * normal).sum(-1) / squared
    weights = np.clip(np.stack([1 - second - third, second, third], axis=-1), 0, None)
    weights /= weights.sum(-1, keepdims=True)
    return weights, (weights[..., None] * corners).sum(-2)
