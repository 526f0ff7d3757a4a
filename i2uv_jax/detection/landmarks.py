"""The turned squares in which a `models.landmark_net.LandmarkNet` looks at hands, and the keypoints
that it says there, back in the photo.

The conventions are those of MediaPipe's graphs `palm_detection_detection_to_roi`,
`hand_landmark_cpu` and, for the square about keypoints, `hand_landmark_landmarks_to_roi`. NumPy;
what says so is of JAX's arrays, too.
"""

import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.detection.palms import PALM_MIDDLE_MCP, PALM_WRIST, Palms
from i2uv_jax.geometry.keypoints import INDEX_MCP, MIDDLE_MCP, RING_MCP, WRIST
from i2uv_jax.imaging.crop import SquareCrop, TurnedCrop

MIN_PRESENCE = 0.45
"""Squares that show a hand less likely than this are taken to show none: single fingers reach 0.3.
MediaPipe takes 0.5."""

HAND_SIDES = 3.0
"""Side of a hand's square in sides of its palm's box. MediaPipe takes 2.6, which cuts wrists off:
with 3.0 keypoints err less in rendered hands and in photos."""

DEPTH_SHARE = 0.2
"""The network's depths are those in pixels of the square times this: so the bones of hands in
photos keep their lengths best, whatever the pose, and the network's own metres agree. MediaPipe
takes 0.4, which makes its hands flat."""

_BASES = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""Keypoints that a square about a hand is laid around: fingertips move too much."""

_BASES_SIDES = 2.0
"""Side of a hand's square in sides of the box around these."""

_ABOVE_BASES = 0.1
"""From the middle of that box to the hand's, towards the fingers, in heights of it."""

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
        x, y = points[PALM_MIDDLE_MCP] - points[PALM_WRIST]
        angle = np.arctan2(x, -y)  # of the square whose y axis points from the fingers to the wrist
        towards_fingers = np.array([np.sin(angle), -np.cos(angle)])
        middle = photo.to_pixels((box[:2] + box[2:]) / 2)
        centre_x, centre_y = middle + _TOWARDS_FINGERS * side * towards_fingers
        square = TurnedCrop((float(centre_x), float(centre_y)), HAND_SIDES * side, float(angle))
        squares.append(square)
    return squares


def square_about(keypoints_px: Float[np.ndarray, "21 2"]) -> TurnedCrop:
    """The square around a hand whose keypoints are known, fingers up."""
    centre, side, angle = place_square(keypoints_px)
    return TurnedCrop((float(centre[0]), float(centre[1])), float(side), float(angle))


def place_square(
    keypoints: Float[Array | np.ndarray, "*b 21 2"],
) -> tuple[Float[Array, "*b 2"], Float[Array, "*b"], Float[Array, "*b"]]:
    """Middles, sides and angles (`TurnedCrop`) of the squares around hands whose keypoints are
    known, fingers up; as MediaPipe lays them in films about the keypoints of the frame before.

    Of NumPy's arrays or JAX's, in any unit of length. Jit-able.
    """
    xp = keypoints.__array_namespace__()
    knuckles = (INDEX_MCP, MIDDLE_MCP, RING_MCP)
    index, middle, ring = (keypoints[..., number, :] for number in knuckles)
    towards = ((index + ring) / 2 + middle) / 2 - keypoints[..., WRIST, :]
    angle = xp.atan2(towards[..., 0], -towards[..., 1])
    cos, sin = xp.cos(angle), xp.sin(angle)
    x, y = (keypoints[..., np.array(_BASES), axis] for axis in (0, 1))
    # Along the square's own axes.
    right = cos[..., None] * x + sin[..., None] * y
    down = cos[..., None] * y - sin[..., None] * x
    width, height = (xp.max(seen, axis=-1) - xp.min(seen, axis=-1) for seen in (right, down))
    u = (xp.max(right, axis=-1) + xp.min(right, axis=-1)) / 2
    v = (xp.max(down, axis=-1) + xp.min(down, axis=-1)) / 2 - _ABOVE_BASES * height
    centre = xp.stack([cos * u - sin * v, sin * u + cos * v], axis=-1)
    return centre, _BASES_SIDES * xp.maximum(width, height), angle


def mirrored_keypoints(
    keypoints: Float[Array | np.ndarray, "*b 21 3"], size: int
) -> Float[Array | np.ndarray, "*b 21 3"]:
    """What the network said of a mirrored square, in the square as it is; of NumPy's arrays or
    JAX's. Jit-able."""
    return keypoints * np.array([-1, 1, 1]) + np.array([size, 0, 0])


def keypoints_in_photo(
    keypoints: Float[np.ndarray, "21 3"], square: TurnedCrop, size: int
) -> Float[np.ndarray, "21 3"]:
    """x and y in pixels of the photo, z in such pixels relative to the wrist.

    Args:
      keypoints: the network's answer (`LandmarkNetOutput.keypoints`) for the square.
      size: the square's pixels on a side when the network saw it.
    """
    in_sides = keypoints_in_square(keypoints, size)
    plane = square.to_pixels(in_sides[:, :2])
    return np.column_stack([plane, square.side_px * in_sides[:, 2]])


def keypoints_in_square(
    keypoints: Float[Array | np.ndarray, "*b 21 3"], size: int
) -> Float[Array | np.ndarray, "*b 21 3"]:
    """x and y in sides of the square from its top left corner, z in such sides relative to the
    wrist; of NumPy's arrays or JAX's. Jit-able.

    Args:
      keypoints, size: as for `keypoints_in_photo`.
    """
    xp = keypoints.__array_namespace__()
    depth = (keypoints[..., 2:] - keypoints[..., WRIST, None, 2:]) / DEPTH_SHARE
    return xp.concat([keypoints[..., :2], depth], axis=-1) / size
