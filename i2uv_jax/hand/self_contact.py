"""How far fingers run into each other or the palm, by capsules around the bones. Jit-able.

A capsule is a segment with a radius. Flesh gives way, so capsules may overlap by a tenth before it
counts. Works on a skeleton alone (no mesh), which keeps it cheap enough for a pose sampler.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.skeleton import JOINT_NAMES

_EPSILON = 1e-9
_FIRMNESS = 0.9
_RADII_MM = {"thumb": (9.5, 8.0), "index": (8.8, 8.0, 7.0), "middle": (8.8, 8.0, 7.0)}
_RADII_MM |= {"ring": (8.4, 7.6, 6.8), "little": (7.4, 6.8, 6.0)}
_METACARPAL_RADIUS_MM = 9.0
_TIP_SHARE = 0.8
"""Where the last capsule ends between the last joint and the finger tip on the skin."""


def _segments() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start and end (indices into [joints; tips]), radius (mm), finger, and whether metacarpal."""
    starts, ends, radii, fingers, is_palm = [], [], [], [], []
    for number, finger in enumerate(FINGER_NAMES):
        names = ("mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip")
        chain = [JOINT_NAMES.index(f"{finger}_{name}") for name in names]
        chain.append(len(JOINT_NAMES) + number)
        for start, end, radius in zip(chain[:-1], chain[1:], _RADII_MM[finger], strict=True):
            starts.append(start)
            ends.append(end)
            radii.append(radius)
            fingers.append(number)
            is_palm.append(False)
        starts.append(JOINT_NAMES.index(f"{finger}_cmc"))
        ends.append(chain[0])
        radii.append(_METACARPAL_RADIUS_MM)
        fingers.append(number)
        is_palm.append(True)
    return tuple(np.array(x) for x in (starts, ends, radii, fingers, is_palm))


_START, _END, _RADIUS_MM, _FINGER, _IS_PALM = _segments()


def _tested_pairs() -> tuple[np.ndarray, np.ndarray]:
    """Pairs of capsules that can meet: of different fingers, or an end segment and the palm."""
    first, second = np.triu_indices(len(_START), 1)
    different = _FINGER[first] != _FINGER[second]
    both_palm = _IS_PALM[first] & _IS_PALM[second]
    # Proximal phalanges start beside the neighbours' metacarpals: never a crossing.
    is_proximal = np.isin(_START, [JOINT_NAMES.index(f"{f}_mcp") for f in FINGER_NAMES])
    beside = (_IS_PALM[first] & is_proximal[second]) | (_IS_PALM[second] & is_proximal[first])
    # A little above the web neighbours' proximal phalanges are one piece of flesh.
    rooted = is_proximal[first] & is_proximal[second]
    is_distal = len(JOINT_NAMES) <= _END
    own_palm = ~different & (
        (_IS_PALM[first] & is_distal[second]) | (_IS_PALM[second] & is_distal[first])
    )
    own_palm &= _FINGER[first] > 0
    keep = (different & ~both_palm & ~beside & ~rooted) | own_palm
    return first[keep], second[keep]


_FIRST, _SECOND = _tested_pairs()


def penetration_mm(
    joints: Float[Array, "j 3"], tips: Float[Array, "5 3"], scale: float = 1.0
) -> Float[Array, "pairs"]:
    """Depth (mm, 0 without contact) to which each pair of capsules overlaps beyond softness.

    Args:
      joints: posed joint centres, metres.
      tips: posed finger tips on the skin, thumb first, metres.
      scale: size of the hand relative to the mean adult, for the radii.
    """
    points = jnp.concatenate([joints, tips]) * 1e3
    starts, ends = points[_START], points[_END]
    is_tip = jnp.asarray(len(JOINT_NAMES) <= _END)[:, None]
    ends = jnp.where(is_tip, starts + _TIP_SHARE * (ends - starts), ends)
    distance = segment_distance(starts[_FIRST], ends[_FIRST], starts[_SECOND], ends[_SECOND])
    room = _FIRMNESS * scale * (_RADIUS_MM[_FIRST] + _RADIUS_MM[_SECOND])
    return jnp.maximum(room - distance, 0)


def segment_distance(
    start_a: Float[Array, "n 3"],
    end_a: Float[Array, "n 3"],
    start_b: Float[Array, "n 3"],
    end_b: Float[Array, "n 3"],
) -> Float[Array, "n"]:
    """Shortest distance between segments (Ericson, Real-Time Collision Detection, 5.1.9)."""
    along_a, along_b, between = end_a - start_a, end_b - start_b, start_a - start_b
    aa, bb = jnp.sum(along_a**2, -1) + _EPSILON, jnp.sum(along_b**2, -1) + _EPSILON
    ab = jnp.sum(along_a * along_b, -1)
    a_between, b_between = jnp.sum(along_a * between, -1), jnp.sum(along_b * between, -1)
    share_a = jnp.clip((ab * b_between - a_between * bb) / (aa * bb - ab**2 + _EPSILON), 0, 1)
    share_b = (ab * share_a + b_between) / bb
    clamped_b = jnp.clip(share_b, 0, 1)
    share_a = jnp.where(
        share_b == clamped_b, share_a, jnp.clip((ab * clamped_b - a_between) / aa, 0, 1)
    )
    gap = between + share_a[:, None] * along_a - clamped_b[:, None] * along_b
    return jnp.sqrt(jnp.sum(gap**2, -1) + _EPSILON)


def crosses(penetrations: Float[Array, "*b pairs"], tolerance_mm: float) -> Bool[Array, "*b"]:
    """Whether any pair overlaps by more than the tolerance."""
    return jnp.max(penetrations, -1) > tolerance_mm
