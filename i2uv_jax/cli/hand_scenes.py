"""Hands of one picture as a mesh file shows them: coloured by their UV maps, in one space."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from i2uv_jax.cli.photo_hand import PhotoHand
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.inference.placement import wrists_mm
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.viewing.glb import SceneHand
from i2uv_jax.viewing.track_motions import MovingHand
from i2uv_jax.viewing.uv_colours import uv_map_colours


def photo_scene(
    hands: Sequence[PhotoHand], predictor: Predictor, width: int, height: int
) -> list[SceneHand]:
    """The hands of a photo, of which there is one at least; the first one's wrist is the origin."""
    wrists = wrists_mm([hand.prediction for hand in hands], width, height)
    return _scene(hands, texel_mask(predictor), wrists - wrists[0])


def frame_scene(
    hands: Mapping[int, PhotoHand], predictor: Predictor, width: int, height: int
) -> list[SceneHand]:
    """The hands of a video's frame by their tracks, whose names they get; the camera, which all
    frames share, is the origin."""
    wrists = wrists_mm([hand.prediction for hand in hands.values()], width, height)
    scene = _scene(list(hands.values()), texel_mask(predictor), wrists)
    return [replace(hand, name=f"track_{track}") for track, hand in zip(hands, scene, strict=True)]


def moving_hands(tracks: Sequence[int], scene: Sequence[SceneHand]) -> list[MovingHand]:
    """The same hands, which have rigs, for an animation."""
    return [
        MovingHand(track, hand.is_left, hand.rig, hand.rig.wrist + hand.wrist_mm, hand.texture)
        for track, hand in zip(tracks, scene, strict=True)
    ]


def texel_mask(predictor: Predictor) -> Bool[np.ndarray, "m m"]:
    """Which texels of a model's UV maps show some of the hand."""
    return build_tables(predictor.hand.atlas, predictor.config.uv_map_size).texel_mask


def _scene(
    hands: Sequence[PhotoHand],
    mask: Bool[np.ndarray, "m m"],
    wrists: Float[np.ndarray, "n 3"],
) -> list[SceneHand]:
    return [
        SceneHand(
            hand.prediction.vertices_mm,
            uv_map_colours(hand.prediction.uv_map, mask, background=None),
            is_left=hand.prediction.handedness == "left",
            wrist_mm=tuple(wrist.tolist()),
            rig=hand.rig,
        )
        for hand, wrist in zip(hands, wrists, strict=True)
    ]
