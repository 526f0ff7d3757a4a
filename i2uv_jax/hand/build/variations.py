"""Our own shape variations, and the reshaping of MakeHuman's segments towards anthropometry.

All are displacement fields on the mean hand in the rig frame (millimetres); coefficient 1 stands
for about two standard deviations of adults.
"""

import numpy as np

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.build.correctives import followers
from i2uv_jax.hand.build.joints import Skeleton
from i2uv_jax.hand.skeleton import FINGER_JOINTS, JOINT_NAMES, NUM_PHENOTYPES, SHAPE_NAMES

SEGMENT_STRETCH = {
    "index_dip": -0.12, "middle_dip": -0.06, "ring_dip": -0.08, "little_dip": 0.12,
    "little_pip": 0.06, "thumb_mcp": -0.08,
}  # fmt: skip
"""Lengthening of single segments (share) towards Buryanov and Kotiuk's proportions."""


def stretch(
    vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton, joint: int, share: float
) -> np.ndarray:
    """Displacements (v, 3) that lengthen the bone beyond `joint` by a share of its length."""
    direction = skeleton.bone_directions[joint]
    length = np.linalg.norm(skeleton.bone_end(joint) - skeleton.joints[joint])
    along = np.clip((vertices - skeleton.joints[joint]) @ direction, 0, length)
    owned = followers(weights, skeleton, skeleton.parent(joint) or joint)
    return share * (owned * along)[:, None] * direction


def reshape_segments(vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Displacements (v, 3) of `SEGMENT_STRETCH`."""
    return sum(
        stretch(vertices, weights, skeleton, JOINT_NAMES.index(name), share)
        for name, share in SEGMENT_STRETCH.items()
    )


def own_variations(vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Blend shapes of our own variations, in the order of `SHAPE_NAMES`: (13, v, 3)."""
    wrist = skeleton.joint("wrist")
    centred = vertices - wrist

    def lengthen(fingers, share):
        joints = [j for j in FINGER_JOINTS if _finger(j) in fingers and "cmc" not in JOINT_NAMES[j]]
        return sum(stretch(vertices, weights, skeleton, joint, share) for joint in joints)

    fields = {
        "size": 0.10 * centred,
        "finger_length": lengthen(FINGER_NAMES, 0.07),
        "palm_length": _palm_stretch(vertices, skeleton, 0.08),
        "palm_width": _palm_widen(vertices, weights, skeleton, 0.10),
        "palm_thickness": _palm_thicken(vertices, weights, skeleton, 0.14),
        "finger_thickness": _thicken(vertices, weights, skeleton, 0.15),
        "knuckle_thickness": _knuckles(vertices, weights, skeleton, 0.10),
        "tip_taper": _taper(vertices, weights, skeleton, 0.16),
    }
    for finger, share in zip(FINGER_NAMES, (0.08, 0.06, 0.06, 0.06, 0.09), strict=True):
        fields[f"{finger}_length"] = lengthen((finger,), share)
    return np.array([fields[name] for name in SHAPE_NAMES[NUM_PHENOTYPES:]])


def _finger(joint: int) -> str:
    return JOINT_NAMES[joint].split("_")[0]


def _smoothstep(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def _from_axis(vertices: np.ndarray, skeleton: Skeleton, joint: int) -> np.ndarray:
    """Vectors from the axis of the bone beyond `joint` to each vertex."""
    offset = vertices - skeleton.joints[joint]
    direction = skeleton.bone_directions[joint]
    return offset - np.outer(offset @ direction, direction)


def _finger_bones() -> list[int]:
    return [joint for joint in FINGER_JOINTS if not JOINT_NAMES[joint].endswith("cmc")]


def _thicken(vertices, weights, skeleton, share):
    return share * sum(
        weights[:, [joint]] * _from_axis(vertices, skeleton, joint) for joint in _finger_bones()
    )


def _knuckles(vertices, weights, skeleton, share):
    """Thicker at the PIP and DIP (IP) joints, unchanged between."""
    total = np.zeros_like(vertices)
    for joint in FINGER_JOINTS:
        if JOINT_NAMES[joint].split("_")[1] not in ("pip", "dip", "ip"):
            continue
        along = (vertices - skeleton.joints[joint]) @ skeleton.bone_directions[joint]
        owned = followers(weights, skeleton, skeleton.parent(joint))
        bump = owned * np.exp(-0.5 * (along / 5.5) ** 2)
        total += share * bump[:, None] * _from_axis(vertices, skeleton, joint)
    return total


def _taper(vertices, weights, skeleton, share):
    """Finger ends slimmer (positive: more taper), growing from the PIP to the tip."""
    total = np.zeros_like(vertices)
    for joint in FINGER_JOINTS:
        if JOINT_NAMES[joint].split("_")[1] not in ("dip", "ip"):
            continue
        length = np.linalg.norm(skeleton.bone_end(joint) - skeleton.joints[joint])
        along = (vertices - skeleton.joints[joint]) @ skeleton.bone_directions[joint]
        owned = followers(weights, skeleton, skeleton.parent(joint))
        amount = owned * _smoothstep((along / length + 0.8) / 1.8)
        total -= share * amount[:, None] * _from_axis(vertices, skeleton, joint)
    return total


def _palm_stretch(vertices, skeleton, share):
    """Palm longer: everything beyond the wrist moves outwards, the fingers as they are."""
    wrist, knuckle = skeleton.joint("wrist"), skeleton.joint("middle_mcp")
    along = np.clip(vertices[:, 1] - wrist[1], 0, knuckle[1] - wrist[1] - 8)
    return share * along[:, None] * np.array([0.0, 1.0, 0.0])


def _palm_widen(vertices, weights, skeleton, share):
    """Metacarpal heads further apart, the fingers moving along without growing thicker."""
    centre = skeleton.joint("middle_mcp")[0]
    rise = _smoothstep((vertices[:, 1] - skeleton.joint("wrist")[1] + 10) / 50)
    position = vertices[:, 0] - centre
    for joint in _finger_bones():
        base = skeleton.joint(f"{_finger(joint)}_mcp")[0] - centre
        position = position + weights[:, joint] * (base - (vertices[:, 0] - centre))
    field = np.zeros_like(vertices)
    field[:, 0] = share * rise * position
    return field


def _palm_thicken(vertices, weights, skeleton, share):
    bones = weights[:, _finger_bones()].sum(1)
    rise = _smoothstep((vertices[:, 1] - skeleton.joint("wrist")[1] + 8) / 35) * (1 - bones)
    field = np.zeros_like(vertices)
    field[:, 2] = share * rise * np.clip(vertices[:, 2], -25, 25)
    return field
