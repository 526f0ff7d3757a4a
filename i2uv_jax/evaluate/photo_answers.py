"""Who says where the hand of an annotated picture is: a model, in boxes that are given or found, or
MediaPipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.detection.mediapipe_hands import MediaPipeHands
from i2uv_jax.imaging.annotations import Annotation
from i2uv_jax.imaging.crop import SquareCrop
from i2uv_jax.inference.detected_hand import DetectedHand, PhotoDetector
from i2uv_jax.inference.hand_in_box import find_in_box
from i2uv_jax.inference.prediction import Handedness, HandPrediction
from i2uv_jax.inference.predictor import Predictor


@dataclass(frozen=True)
class AskedPhoto:
    """A picture, and which of its hands is asked for."""

    annotation: Annotation
    hand: Handedness | None
    """None where nobody says: then what the detector says, or a right one."""
    pixels: UInt8[np.ndarray, "h w 3"]
    crop: SquareCrop
    """Around that hand, or the whole picture where the annotation has no box."""


@dataclass(frozen=True)
class PhotoAnswer:
    """The hand that was found."""

    keypoints_2d: Float[np.ndarray, "21 2"]
    """Pixels of the picture."""
    keypoints_3d_mm: Float[np.ndarray, "21 3"]
    """In any frame."""
    handedness: Handedness
    """What it was taken for."""
    prediction: HandPrediction | None = None
    """All of a model's answer."""


Answerer = Callable[[Sequence[AskedPhoto]], list[PhotoAnswer | None]]
"""Answers a batch of pictures; None where no hand was found."""


def given_boxes(predictor: Predictor, detector: PhotoDetector | None = None) -> Answerer:
    """A model that is told the hands' boxes, and what a detector sees in them if there is one.

    Where the annotation has no box, the whole picture counts as one, unless the detector finds a
    hand in it.
    """

    def asked(photo: AskedPhoto) -> dict[str, Any]:
        box = photo.annotation.box_xyxy
        found = None if detector is None else find_in_box(detector, photo.pixels, box)
        if found is not None:
            return found.for_model(predictor, photo.hand)
        return {"box_xyxy": box, "handedness": photo.hand or "right", "keypoints": None}

    def answer(photos: Sequence[AskedPhoto]) -> list[PhotoAnswer | None]:
        return _predict(predictor, photos, [asked(photo) for photo in photos])

    return answer


def found_boxes(predictor: Predictor, detector: PhotoDetector) -> Answerer:
    """A model that has to find the hands in the whole pictures.

    Of several hands the surest counts among those whose middles lie in the box of the annotation,
    if it has one: other hands are not the one that is asked for.
    """

    def answer(photos: Sequence[AskedPhoto]) -> list[PhotoAnswer | None]:
        found = [_asked_hand(detector(photo.pixels), photo.annotation) for photo in photos]
        seen = [index for index, hand in enumerate(found) if hand is not None]
        answers: list[PhotoAnswer | None] = [None] * len(photos)
        if seen:
            asked = [found[index].for_model(predictor, photos[index].hand) for index in seen]
            predicted = _predict(predictor, [photos[index] for index in seen], asked)
            for index, one in zip(seen, predicted, strict=True):
                answers[index] = one
        return answers

    return answer


def mediapipe(hands: MediaPipeHands) -> Answerer:
    """MediaPipe's hand landmarker, which sees the whole pictures."""

    def answer(photos: Sequence[AskedPhoto]) -> list[PhotoAnswer | None]:
        found = [hands(photo.pixels, photo.annotation.box_xyxy) for photo in photos]
        return [
            None
            if hand is None
            else PhotoAnswer(hand.keypoints_2d, hand.keypoints_3d_mm, hand.handedness)
            for hand in found
        ]

    return answer


def _predict(
    predictor: Predictor, photos: Sequence[AskedPhoto], asked: Sequence[dict[str, Any]]
) -> list[PhotoAnswer | None]:
    """What a model answers to `DetectedHand.for_model`'s arguments for each of the pictures."""
    columns = {name: [one[name] for one in asked] for name in asked[0]}
    predictions = predictor([photo.pixels for photo in photos], **columns)
    return [
        PhotoAnswer(one.keypoints_2d, one.keypoints_3d_mm, one.handedness, one)
        for one in predictions
    ]


def _asked_hand(hands: list[DetectedHand], annotation: Annotation) -> DetectedHand | None:
    box = annotation.box_xyxy

    def is_asked(hand: DetectedHand) -> bool:
        left, top, right, bottom = hand.box_xyxy
        middle = np.array([left + right, top + bottom]) / 2
        return box is None or bool((middle >= box[:2]).all() and (middle <= box[2:]).all())

    return max(filter(is_asked, hands), key=lambda hand: hand.score, default=None)
