"""A second look at a hand: the crop around the mesh of the first."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.imaging.crop import BoxError
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Predictor


def predict_again(
    predictor: Predictor,
    photos: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    first: HandPrediction,
) -> HandPrediction:
    """Predicts a batch's hands once more, each in the box of its first mesh.

    A hand whose first mesh gives no usable box (far out of the picture, or a speck) is looked at as
    before.

    Args:
      photos: the picture of each hand.
      first: the batch of the first look.
    """
    prepared = []
    for index, photo in enumerate(photos):
        hand = first[index]
        points = hand.vertices_2d
        box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
        try:
            again = predictor.prepare(photo, handedness=hand.handedness, box_xyxy=box)
        except BoxError:
            again = predictor.prepare(photo, handedness=hand.handedness, crop=hand.crop)
        prepared.append(again)
    return predictor.start(prepared).result()
