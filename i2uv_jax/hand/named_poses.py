"""Poses that hands are often seen in, by name: the points between which `pose_prior` draws.

Angles are those of `hand.pose_prior`, in degrees. Thumbs that meet something were found by
minimising the distance of the pads, then rounded.
"""

import numpy as np

from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS

FINGERS = ("index", "middle", "ring", "little")
DIP_PER_PIP = 0.66
"""The DIP follows the PIP by about two thirds (Rijpkema and Girard 1991)."""


def _pose(thumb, index, middle, ring, little, spread=(0, 0, 0, 0)) -> np.ndarray:
    """Angles of a named pose, degrees: thumb (CMC flexion, CMC abduction, CMC twist, MCP, IP);
    fingers (MCP, PIP flexion); spread is the fingers' abduction."""
    angles = np.zeros((NUM_JOINTS, 3))
    angles[JOINT_NAMES.index("thumb_cmc")] = thumb[:3]
    angles[JOINT_NAMES.index("thumb_mcp"), 0] = thumb[3]
    angles[JOINT_NAMES.index("thumb_ip"), 0] = thumb[4]
    for name, (mcp, pip), abduction in zip(
        FINGERS, (index, middle, ring, little), spread, strict=True
    ):
        angles[JOINT_NAMES.index(f"{name}_mcp")] = (mcp, abduction, 0)
        angles[JOINT_NAMES.index(f"{name}_pip"), 0] = pip
        angles[JOINT_NAMES.index(f"{name}_dip"), 0] = pip * DIP_PER_PIP
    return np.deg2rad(angles)


CLOSED = (-8, -1, 6, 12)
"""Abduction that brings the spread fingers of the rest pose side by side."""
_OPEN_THUMB = (0, 0, 0, 0, 0)
_STUCK_OUT_THUMB = (-8, -6, 0, -5, -8)
_BESIDE_INDEX = (-5, 13, -7, 35, 55)
_OVER_MIDDLE = (13, 18, -15, 39, 38)
_OVER_RING = (29, 21, -15, 39, 14)
_OVER_LITTLE = (30, 15, -12, 36, 29)
_PINCHING = (35, 15, -11, -10, -20)
_UP, _FIST = (-3, -4), (76, 90)
NAMED_POSES: dict[str, np.ndarray] = {
    # open and relaxed
    "rest": _pose(_OPEN_THUMB, (0, 0), (0, 0), (0, 0), (0, 0)),
    "spread": _pose(_STUCK_OUT_THUMB, _UP, _UP, _UP, _UP, (6, 2, -4, -8)),
    "spread back": _pose(_STUCK_OUT_THUMB, (-18, 6), (-16, 6), (-16, 6), (-18, 6), (4, 1, -3, -6)),
    "flat": _pose((5, -5, 0, 0, 0), _UP, _UP, _UP, _UP, CLOSED),
    "flat, thumb beside": _pose((10, -14, 0, 0, 0), (-6, 2), (-6, 2), (-6, 2), (-6, 2), CLOSED),
    "handshake": _pose((2, 12, 0, 0, 0), (4, 6), (6, 8), (8, 10), (10, 12), CLOSED),
    "relaxed": _pose((8, 5, 5, 8, 12), (12, 18), (16, 22), (18, 24), (20, 26), (-4, 0, 3, 6)),
    "hanging": _pose((10, 8, 5, 10, 15), (30, 35), (34, 40), (38, 42), (40, 42), CLOSED),
    "cupped": _pose((12, 16, 0, 5, 10), (28, 18), (30, 20), (30, 22), (30, 22), CLOSED),
    # fists: thumb over the middle finger, beside the index, stuck out (thumbs-up), loose
    "fist": _pose((18, 24, -15, 39, 20), _FIST, _FIST, _FIST, _FIST, CLOSED),
    "fist, thumb beside": _pose(_BESIDE_INDEX, _FIST, _FIST, _FIST, _FIST, CLOSED),
    "thumbs-up": _pose(_STUCK_OUT_THUMB, _FIST, _FIST, _FIST, _FIST, CLOSED),
    "loose fist": _pose((12, 18, -8, 18, 20), (52, 62), (56, 66), (58, 68), (58, 66), CLOSED),
    # pointing and counting
    "pointing": _pose(_OVER_MIDDLE, _UP, _FIST, _FIST, _FIST, (0, 0, 4, 8)),
    "pistol": _pose(_STUCK_OUT_THUMB, _UP, _FIST, _FIST, _FIST, (0, 0, 4, 8)),
    "lazy pointing": _pose((14, 16, -5, 15, 15), (15, 10), (45, 60), (52, 64), (55, 62), CLOSED),
    "hooked index": _pose(_OVER_MIDDLE, (5, 70), _FIST, _FIST, _FIST, (-4, 0, 4, 8)),
    "two": _pose(_OVER_RING, _UP, _UP, _FIST, _FIST, (4, -6, 3, 6)),
    "two, closed": _pose(_OVER_RING, _UP, _UP, _FIST, _FIST, (-8, -1, 3, 6)),
    "three with thumb": _pose(_STUCK_OUT_THUMB, _UP, _UP, _FIST, _FIST, (4, -6, 3, 6)),
    "three": _pose(_OVER_LITTLE, _UP, _UP, _UP, (84, 49), (2, 0, 0, 22)),
    "four": _pose((28, 15, -10, 40, 30), _UP, _UP, _UP, _UP, (2, 0, 0, -4)),
    "little finger": _pose((18, 24, -15, 39, 20), _FIST, _FIST, _FIST, _UP, (-6, 0, 4, 4)),
    "telephone": _pose(_STUCK_OUT_THUMB, _FIST, _FIST, _FIST, _UP, (-6, 0, 4, 4)),
    "horns": _pose(_OVER_MIDDLE, _UP, _FIST, _FIST, _UP, (0, 0, 4, 0)),
    # pinches
    "okay": _pose(_PINCHING, (53, 27), (10, 15), (5, 10), (0, 5), (-10, 0, 0, 0)),
    "pinch, closed": _pose(_PINCHING, (50, 30), (48, 50), (52, 56), (55, 58), (-10, -1, 6, 12)),
    "pinch": _pose((35, 16, -15, 1, -20), (35, 19), (67, 42), (12, 16), (5, 8), (-13, -3, 3, 6)),
    "middle pinch": _pose((30, 6, 14, 3, -20), (0, 0), (42, 47), (0, 0), (0, 0), (0, 8, 0, 0)),
    "ring pinch": _pose((29, 10, 12, 8, -20), (0, 0), (0, 0), (45, 35), (0, 0), (0, 0, 16, 0)),
    "little pinch": _pose((32, 10, 10, 15, -20), (0, 0), (0, 0), (0, 0), (40, 14), (0, 0, 0, 23)),
    # holding: can, bar, ball, lid, phone, pen, key, bag, sheet
    "can": _pose((5, 20, 0, 5, 15), (30, 35), (32, 38), (34, 40), (36, 42), (0, 0, 0, 0)),
    "jar": _pose((2, 26, 0, 5, 15), (24, 26), (26, 28), (28, 30), (28, 32), (0, 0, 0, -2)),
    "bar": _pose((16, 24, -8, 10, 10), (48, 45), (50, 48), (52, 50), (54, 50), CLOSED),
    "ball": _pose((5, 27, 0, 5, 12), (28, 26), (28, 28), (30, 28), (32, 28), (6, 1, -3, -8)),
    "lid": _pose((8, 20, 0, 8, 20), (12, 40), (14, 42), (14, 42), (16, 40), (5, 1, -3, -7)),
    "phone": _pose((10, 14, 0, 8, 12), (22, 36), (28, 42), (32, 46), (36, 48), CLOSED),
    "pen": _pose((32, 21, -11, -3, 5), (41, 36), (53, 52), (52, 59), (56, 53), (-9, -1, 6, 12)),
    "key": _pose((7, 4, -15, 23, 11), (41, 71), (53, 65), (56, 74), (65, 70), CLOSED),
    "bag": _pose((5, 15, 0, 5, 25), (-5, 70), (-5, 72), (-5, 72), (-5, 70), CLOSED),
    "sheet": _pose((5, 10, 0, 10, 15), (66, 5), (68, 6), (68, 6), (66, 5), CLOSED),
    # on a table
    "mouse": _pose((8, 2, 0, 8, 10), (18, 22), (16, 24), (26, 30), (30, 34), (0, 1, 2, 3)),
    "typing": _pose((10, 6, 0, 6, 14), (20, 36), (18, 40), (20, 40), (24, 38), (-2, 0, 2, 4)),
    "pressing": _pose((12, 12, 0, 10, 15), (26, 16), (40, 46), (44, 50), (46, 50), CLOSED),
}
"""Angles of every joint, (joints, 3), radians."""
