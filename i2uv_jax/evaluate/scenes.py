"""A detector of hands on generated scenes, whose hands are known."""

from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import UInt8

from i2uv_jax.config import DetectorExperimentConfig
from i2uv_jax.data.scenes import PoolMaker
from i2uv_jax.detection.boxes import FoundBoxes, square_boxes
from i2uv_jax.detection.scores import TrueBoxes, true_boxes
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.inference.detected_hand import PhotoDetector
from i2uv_jax.ops.compiling import compiler_options
from i2uv_jax.render.photo_scene import sample_scenes
from i2uv_jax.types import SceneBatch

_MOST_HANDS = 256
"""Rendered hands that all scenes share."""


def generated_scenes(
    config: DetectorExperimentConfig, seed: int, count: int, batch_size: int
) -> Iterator[tuple[UInt8[np.ndarray, "h h 3"], TrueBoxes]]:
    """Pictures and the boxes of their hands in pixels; seed and batch size decide everything.

    Args:
      batch_size: scenes that are drawn at a time.

    Raises:
      ValueError: a folder that the config names cannot be used.
    """
    size = config.model.image_size
    pool_key, scene_key = jax.random.split(jax.random.key(seed))
    things = min(_MOST_HANDS, count)
    pool = PoolMaker(config.scene, config.render, size)(pool_key, things, things)

    def draw(key: jax.Array) -> SceneBatch:
        return sample_scenes(key, pool, config.scene, config.render.sensor, batch_size)

    compiled = jax.jit(draw, compiler_options=compiler_options())
    for index in range(count):
        if index % batch_size == 0:
            key = jax.random.fold_in(scene_key, index // batch_size)
            batch = jax.device_get(compiled(key))
        row = jax.tree.map(lambda leaf, place=index % batch_size: leaf[place], batch)
        truth = true_boxes(
            row.centre, row.side, row.is_left, row.is_shown, row.is_doubtful, size=size
        )
        yield to_bytes(row.image), truth


def found_boxes(detector: PhotoDetector, picture: UInt8[np.ndarray, "h w 3"]) -> FoundBoxes:
    """What a detector finds in a picture, in pixels: squares about its boxes, as true ones are."""
    hands = detector(picture)
    boxes = np.array([hand.box_xyxy for hand in hands]).reshape(-1, 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=-1)
    return FoundBoxes(
        boxes=square_boxes((boxes[:, :2] + boxes[:, 2:]) / 2, sides),
        scores=np.array([hand.score for hand in hands]),
        is_left=None
        if any(hand.handedness is None for hand in hands)
        else np.array([hand.handedness == "left" for hand in hands], bool),
    )
