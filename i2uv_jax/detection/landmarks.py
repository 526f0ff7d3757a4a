"""The turned squares in which a `models.landmark_net.LandmarkNet` looks at hands, and the keypoints
that it says there, back in the photo.

The conventions are those of MediaPipe's graphs `palm_detection_detection_to_roi` and
`hand_landmark_cpu`. NumPy alone.
"""

import numpy as np
from jaxtyping import Float

from i2uv_jax.detection.palms import MIDDLE_MCP, WRIST, Palms
from i2uv_jax.imaging.crop import SquareCrop, TurnedCrop

HAND_SIDES = 2.6
"""Side of a hand's square in sides of its palm's box."""

DEPTH_SHARE = 0.2
"""The network's depths are those in pixels of the square times this: so the bones of hands in
photos keep their lengths best, whatever the pose, and the network's own metres agree. MediaPipe
takes 0.4, which makes its hands flat."""

_TOWARDS_FINGERS = 0.5
"""From the palm's middle to the hand's, in sides of the palm's box."""


def hand_squares(palms: Palms, photo: SquareCrop) -> list[TurnedCrop]:
    """The squares around the hands that the palms belong to, fingers up.

    Args:
      photo: the square picture that the palms were found in.
    """
    squares = []
    for box, points in zip(palms.box, palms.points, strict=True):
        side = photo.side_px * float((box[2:] - box[:2]).max())
        x, y = points[MIDDLE_MCP] - points[WRIST]
        angle = np.arctan2(x, -y)  # of the square whose y axis points from the fingers to the wrist
        towards_fingers = np.array([np.sin(angle), -np.cos(angle)])
        middle = photo.to_pixels((box[:2] + box[2:]) / 2)
        centre_x, centre_y = middle + _TOWARDS_FINGERS * side * towards_fingers
        square = TurnedCrop((float(centre_x), float(centre_y)), HAND_SIDES * side, float(angle))
        squares.append(square)
    return squares


def keypoints_in_photo(
    keypoints: Float[np.ndarray, "21 3"], square: TurnedCrop, size: int
) -> Float[np.ndarray, "21 3"]:
    """x and y in pixels of the photo, z in such pixels relative to the wrist.

    Args:
      keypoints: the network's answer (`LandmarkNetOutput.keypoints`) for the square.
      size: the square's pixels on a side when the network saw it.
    """
    depth = (keypoints[:, 2] - keypoints[0, 2]) / DEPTH_SHARE * (square.side_px / size)
    return np.column_stack([square.to_pixels(keypoints[:, :2] / size), depth])
