"""How the forearm takes part in the wrist's bend and twist. Rig frame, millimetres, mean hand."""

import numpy as np

from i2uv_jax.hand.build.joints import Skeleton
from i2uv_jax.hand.build.surface import Surface

BEND_RANGE_MM = 40.0
"""Distance from the wrist ring over which a bend of the wrist sets in: an arc of this length, 26 mm
from whose axis the skin lies, turns by 80 degrees before the inner side is used up."""
_TWIST_RANGE_MM = 160.0
"""The same for pronation and supination, which radius and ulna spread over the forearm."""


def forearm_shares(
    forearm: np.ndarray, hand: np.ndarray, faces: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares (a,) of bend and of twist of each forearm vertex; the forearm's axis (3,)."""
    ring = hand[Surface(hand, faces).border()]
    axis = forearm.mean(0) - ring.mean(0)
    axis /= np.linalg.norm(axis)
    # The ring is slanted: measure from its own slant, so that the shares start at zero all round.
    normal = np.linalg.svd(ring - ring.mean(0))[2][2]
    normal = normal * np.sign(normal @ axis)
    distance = np.maximum((forearm - ring.mean(0)) @ normal, 0)
    bend = np.clip(distance / BEND_RANGE_MM, 0, 1)
    twist = np.clip(distance / _TWIST_RANGE_MM, 0, 1)
    return bend, np.sin(twist * np.pi / 2), axis
