"""Hands of photos by all of MediaPipe as it is."""

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import box_around
from i2uv_jax.detection.mediapipe_hands import MediaPipeHands
from i2uv_jax.imaging.crop import can_be_cropped
from i2uv_jax.inference.detected_hand import DetectedHand, plain_box


class MediaPipeDetector:
    """A `PhotoDetector` with MediaPipe's, which has to be running."""

    def __init__(self, hands: MediaPipeHands) -> None:
        self._hands = hands

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """The hands of a photo, the surest first, in boxes around their keypoints."""
        height, width, _ = photo.shape
        found = []
        for hand in sorted(self._hands.all_hands(photo), key=lambda hand: -hand.score):
            corners = box_around(hand.keypoints_2d)
            if can_be_cropped(corners, width, height):
                found.append(DetectedHand(plain_box(corners), hand.handedness, float(hand.score)))
        return found
