"""Surfaces that models or files predict, and the table that compares them with the true ones.

A model's surface is the mesh of all texels of its UV map, which holds more than the rigged hand's
vertices do. It is moved as takes its vertices nearest to the true ones: rotated and shifted, never
scaled, and for "articulated" rows its joints turned as well (`articulation`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.evaluate.answers import Answer, camera_matrix, place_prediction
from i2uv_jax.evaluate.articulation import Skinning, turn_joints
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.surfaces import Surface, compare, mean_comparison, uv_surface
from i2uv_jax.geometry.alignment import align
from i2uv_jax.geometry.camera import crop_camera, from_crop_space
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices, vertices_from_uv_map
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.weights import load_model_file


@dataclass(frozen=True)
class PredictedSurfaces:
    """One surface a hand; metres, each in its camera's frame."""

    points: Sequence[Float[np.ndarray, "n 3"]]
    faces: Int[np.ndarray, "f 3"]
    """Of the points."""
    vertices: Sequence[Float[np.ndarray, "v 3"]]
    """The same hands as the skinning's mesh."""
    skinning: Skinning
    point_weights: Float[np.ndarray, "n j"]
    """The points' skinning weights."""
    to_truth: Float[np.ndarray, "t v"] | None = None
    """From vertices to those that correspond to the true ones; None where they do."""

    def aligned(
        self, index: int, true_vertices: Float[np.ndarray, "t 3"], *, articulated: bool
    ) -> Surface:
        """The surface of one hand, moved onto the truth."""
        vertices = self.vertices[index]
        own = vertices if self.to_truth is None else self.to_truth @ vertices
        rigid = align(own, true_vertices, scale=False)
        points = np.asarray(rigid(self.points[index]))
        if articulated:
            points = turn_joints(
                self.skinning, np.asarray(rigid(vertices)), true_vertices, points,
                self.point_weights,
                to_target=self.to_truth,
            )  # fmt: skip
        return Surface(points, self.faces)


def surfaces_of_model(
    predictor: Predictor,
    samples: Sequence[Sample],
    skinning: Skinning,
    to_truth: Float[np.ndarray, "t v"] | None = None,
) -> PredictedSurfaces:
    """What a model sees in pictures that can be read.

    Args:
      samples: with photos; places and sizes follow from what they tell, as in `answers`.
      skinning: of the predictor's hand.
      to_truth: as in `PredictedSurfaces`.
    """
    found = predictor(
        [sample.picture() for sample in samples],
        handedness=["left" if sample.is_left else "right" for sample in samples],
        box_xyxy=[sample.photo.box_xyxy for sample in samples],
        camera=np.stack([camera_matrix(sample) for sample in samples]),
    )
    tables = build_tables(predictor.hand.atlas, predictor.config.uv_map_size)
    points, vertices = [], []
    for index, sample in enumerate(samples):
        hand = found[index]
        points.append(_in_camera_frame(hand.uv_map.reshape(-1, 3), sample, hand))
        crop_vertices = vertices_from_uv_map(tables, hand.uv_map)
        vertices.append(_in_camera_frame(crop_vertices, sample, hand))
    weights = np.asarray(uv_map_from_vertices(tables, skinning.skin_weights))
    faces = uv_surface(found.uv_map[0], tables.texel_mask).faces
    return PredictedSurfaces(
        points, faces, vertices, skinning, weights.reshape(-1, weights.shape[-1]), to_truth
    )


def coarse_predictor(model: str, predictor: Predictor, batch_size: int) -> Predictor | None:
    """The model `model`, which `predictor` is, without its super-resolution; None if it has none.

    Raises:
      ValueError: the file cannot be read.
    """
    if predictor.config.sr is None:
        return None
    config, variables, metadata = load_model_file(find_model(model))
    coarse = replace(config, sr=None)
    return Predictor(
        coarse, variables, name=model, metadata=metadata, batch_size=batch_size, hand=predictor.hand
    )


def by_resolution(
    predictor: Predictor,
    coarse: Predictor | None,
    surfaces: Callable[[Predictor], PredictedSurfaces],
) -> dict[str, PredictedSurfaces]:
    """A model's surfaces by the names of their rows: one, or before and after super-resolution."""
    if coarse is None:
        return {"predicted mesh": surfaces(predictor)}
    return {"coarse mesh": surfaces(coarse), "super-resolved mesh": surfaces(predictor)}


def surfaces_of_meshes(
    answers: Sequence[Answer], faces: Int[np.ndarray, "f 3"], skinning: Skinning
) -> PredictedSurfaces:
    """The meshes of answers, all of the skinning's topology and the truth's."""
    vertices = [answer.vertices for answer in answers]
    return PredictedSurfaces(vertices, faces, vertices, skinning, skinning.skin_weights)


def surface_table(
    measured: Sequence[Surface],
    predicted: Mapping[str, PredictedSurfaces],
    truths: Sequence[Surface],
    *,
    articulated: bool,
    true_vertices: Sequence[Float[np.ndarray, "t 3"]] | None = None,
) -> dict[str, dict[str, float]]:
    """Depth maps and predicted surfaces beside the true ones: means of `surfaces.compare`, by row.

    Args:
      measured: by a depth sensor, one a hand.
      predicted: by the name of their row.
      articulated: also rows of surfaces whose joints were turned.
      true_vertices: what predicted vertices are moved onto; None takes the truths' own.
    """
    if true_vertices is None:
        true_vertices = [truth.vertices for truth in truths]
    rows = {"depth map": list(measured)}
    for name, own in predicted.items():
        for turned in (False, True) if articulated else (False,):
            rows[f"{name}, articulated" if turned else name] = [
                own.aligned(index, target, articulated=turned)
                for index, target in enumerate(true_vertices)
            ]
    return {
        name: mean_comparison([compare(*pair) for pair in zip(found, truths, strict=True)])
        for name, found in rows.items()
    }


def _in_camera_frame(
    points_crop: Float[np.ndarray, "n 3"], sample: Sample, hand: HandPrediction
) -> Float[np.ndarray, "n 3"]:
    """Points of a UV map's space in metres."""
    photo = sample.photo
    camera = crop_camera(photo.focal_px, photo.principal_px, hand.crop_xyxy)
    _, wrist = place_prediction(sample, hand)
    return np.asarray(from_crop_space(camera, points_crop, np.float32(wrist[2])))
