"""One hand of a photo as it goes to the device, and batches of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.imaging.crop import SquareCrop


@dataclasses.dataclass(frozen=True)
class PreparedHand:
    """One hand of a photo, ready for the program."""

    pixels: UInt8[np.ndarray, "s s 3"]
    """The crop as it is in the photo."""
    crop: SquareCrop
    is_left: bool | None
    """None lets the model decide."""
    inverse_focal: float
    """1 / focal length in crop sides; 0 for weak perspective."""
    principal: Float[np.ndarray, "2"]
    """Crop coordinates."""
    keypoints: Float[np.ndarray, "21 3"] | None
    """What is known of them: x, y and z as in a texel, NaN where unknown; None for models that take
    none."""

    @property
    def sides(self) -> list["PreparedHand"]:
        """Itself, or where its side is open the same crop as a right and as a left hand's."""
        if self.is_left is not None:
            return [self]
        return [dataclasses.replace(self, is_left=is_left) for is_left in (False, True)]


def stack_hands(hands: Sequence[PreparedHand]) -> tuple[np.ndarray, ...]:
    """The program's batched inputs."""
    inputs = (
        np.stack([hand.pixels for hand in hands]),
        np.array([hand.is_left for hand in hands]),
        np.array([hand.inverse_focal for hand in hands], np.float32),
        np.array([hand.principal for hand in hands], np.float32),
    )
    if hands[0].keypoints is None:
        return inputs
    return (*inputs, np.array([hand.keypoints for hand in hands], np.float32))
