"""What a detector says about a hand in a photo, and how it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.inference.prediction import AskedHandedness, Handedness
from i2uv_jax.inference.predictor import Predictor


@dataclass(frozen=True)
class DetectedHand:
    """Where a hand is in a photo."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels of the photo; may reach past its edges."""
    handedness: Handedness | None
    """None where the detector does not tell sides."""
    score: float
    """From 0 to 1."""
    keypoints: Float[np.ndarray, "21 3"] | None = None
    """x and y in pixels of the photo, edge to edge, and z in such pixels from the wrist, away from
    the camera; in the order of `geometry.keypoints.KEYPOINT_NAMES`. None where the detector does
    not tell."""

    def for_model(
        self, model: Predictor, handedness: AskedHandedness | None = None
    ) -> dict[str, Any]:
        """Arguments with which to ask a model about this hand.

        Args:
          handedness: the side, whatever the detector says. Keypoints of what it took for a hand of
            the other side mislead, and are left out.
        """
        side = handedness or self.handedness or "right"
        told = self.keypoints if side == self.handedness and model.takes_keypoints else None
        return {"box_xyxy": self.box_xyxy, "handedness": side, "keypoints": told}


class PhotoDetector(Protocol):
    """Finds the hands of a photo, the likeliest first; may be called from several threads."""

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]: ...


@runtime_checkable
class BoxDetector(PhotoDetector, Protocol):
    """One that can be told not to look for small hands, part by part, and can look straight at a
    box; may be called from several threads, too."""

    def __call__(
        self, photo: UInt8[np.ndarray, "h w 3"], *, in_parts: bool = True
    ) -> list[DetectedHand]: ...

    def look_in_box(
        self, photo: UInt8[np.ndarray, "h w 3"], box_xyxy: Sequence[float]
    ) -> DetectedHand | None:
        """The hand that the box of a photo shows; None if it seems to show none.

        Raises:
          BoxError: the box does not fit the photo.
        """
        ...


@runtime_checkable
class FollowingDetector(BoxDetector, Protocol):
    """One that also looks for hands where they were in the frame before, and tells the keypoints of
    all that it finds; may be called from several threads, too."""

    def follow(
        self, frame: UInt8[np.ndarray, "h w 3"], earlier: Sequence[DetectedHand]
    ) -> list[DetectedHand]:
        """The hands of a frame that are still about where they were, in the order given; those that
        are lost are left out.

        Args:
          earlier: hands of the frame before, with keypoints.
        """
        ...


def plain_box(box: Float[np.ndarray, "4"]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom as `DetectedHand` has them: plain numbers."""
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom
