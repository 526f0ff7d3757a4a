"""How near the hands of another runtime are to JAX's, and either to the truth."""

from dataclasses import dataclass

import numpy as np

from i2uv_jax.config import HandNetConfig
from i2uv_jax.evaluate.rendered_crops import RenderedCrops
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Network, Predictor
from i2uv_jax.metrics import aligned_position_error, point_distances

_BATCH_SIZE = 8


@dataclass(frozen=True)
class Agreement:
    """Distances between the vertices of two predictions of the same hands, in millimetres: each
    mesh in its own size, from its wrist on."""

    mean_mm: float
    largest_mm: float
    told_mean_mm: float | None
    """Over hands whose keypoints are told; None without any."""
    untold_mean_mm: float | None
    """Over the others."""


def predict_crops(
    config: HandNetConfig, variables: dict, crops: RenderedCrops, network: Network | None = None
) -> HandPrediction:
    """What a model makes of rendered hands, in JAX or in another runtime.

    Raises:
      ValueError: the runtime's network takes other inputs.
    """
    predictor = Predictor(config, variables, batch_size=_BATCH_SIZE, network=network)
    told = {}
    if predictor.takes_keypoints:
        # A predictor takes them in pixels.
        told["keypoints"] = list(config.crop_size * crops.told_keypoints)
    return predictor(list(crops.images), **told)


def agreement(expected: HandPrediction, found: HandPrediction, crops: RenderedCrops) -> Agreement:
    """Compares what two runtimes make of the same hands."""
    distances = np.asarray(point_distances(found.vertices_mm, expected.vertices_mm))
    means = distances.mean(axis=-1)

    def mean_over(which: np.ndarray) -> float | None:
        return float(means[which].mean()) if which.any() else None

    return Agreement(
        mean_mm=float(distances.mean()),
        largest_mm=float(distances.max()),
        told_mean_mm=mean_over(crops.is_told),
        untold_mean_mm=mean_over(~crops.is_told),
    )


def aligned_keypoint_error_mm(found: HandPrediction, crops: RenderedCrops) -> float:
    """Mean distance of the keypoints from the true ones after Procrustes alignment."""
    return float(aligned_position_error(found.keypoints_3d_mm, crops.keypoints_mm).mean())
