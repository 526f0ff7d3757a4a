"""Skinning weights around the anatomical joints. Rig frame, millimetres, mean hand.

Two questions are answered apart and multiplied. *Whose* is a vertex: each finger's affinity is
harmonic over the surface between the fingers proper and the lines over the metacarpals, so webs
and palm pass smoothly from one finger to the next. *How far out* is it: a ramp along the finger
at each joint, as wide as the flesh there demands.
"""

import itertools

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.build.joints import Skeleton
from i2uv_jax.hand.build.surface import Surface
from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS

MAX_JOINTS = 4

# Half-widths (mm) of the ramps, on the back of the finger and on its palm side. On the palm side a
# ramp narrower than about the depth of the flesh makes a bent finger cross itself.
_RAMP_MM = {
    "cmc": (12.0, 12.0),
    "mcp": (10.0, 14.0),
    "pip": (7.0, 9.0),
    "dip": (6.0, 7.5),
    "ip": (7.5, 9.5),
    "thumb_cmc": (13.0, 15.0),
    "thumb_mcp": (9.0, 13.0),
}
_LITTLE_FACTOR = 0.8
_SMOOTHING_STEPS = 4


def skin_weights(surface: Surface, skeleton: Skeleton) -> np.ndarray:
    """Weights (v, joints): non-negative, rows sum to 1, at most `MAX_JOINTS` non-zero a row."""
    affinity, is_finger = finger_affinity(surface, skeleton)
    weights = np.zeros((len(surface.vertices), NUM_JOINTS))
    for column, finger in enumerate(FINGER_NAMES):
        chain = [row for row, name in enumerate(JOINT_NAMES) if name.startswith(finger)]
        chain.sort(key=lambda row: ("cmc", "mcp", "ip", "pip", "dip").index(_kind(row)))
        follow = [np.ones(len(weights))]
        for joint in chain:
            follow.append(follow[-1] * _ramp(surface.vertices, skeleton, joint))
        follow.append(np.zeros(len(weights)))
        for joint, inner, outer in zip([0, *chain], follow[:-1], follow[1:], strict=True):
            weights[:, joint] += affinity[:, column] * (inner - outer)
    average = surface.smoothing()
    mobile = np.where(is_finger, 0.1, 0.5)[:, None]
    for _ in range(_SMOOTHING_STEPS):
        weights = (1 - mobile) * weights + mobile * (average @ weights)
    return _prune(weights)


def _kind(joint: int) -> str:
    return JOINT_NAMES[joint].split("_")[1]


def _ramp(vertices: np.ndarray, skeleton: Skeleton, joint: int) -> np.ndarray:
    """Share (0 to 1) in which each vertex follows a joint: a ramp along the finger."""
    name = JOINT_NAMES[joint]
    finger, kind = name.split("_")
    parent = skeleton.parent(joint)
    direction = skeleton.bone_directions[joint] + skeleton.bone_directions[parent]
    if kind == "cmc":
        direction = skeleton.bone_directions[joint]
    direction = direction / np.linalg.norm(direction)
    offset = vertices - skeleton.joints[joint]
    along, palmar = offset @ direction, offset @ skeleton.palmar_normals[joint]
    back, front = _RAMP_MM.get(name, _RAMP_MM[kind])
    half_width = back + (front - back) * _smoothstep(palmar / 20 + 0.5)
    if finger == "little":
        half_width = half_width * _LITTLE_FACTOR
    position = np.clip(along / (2 * half_width) + 0.5, 0, 1)
    return 0.5 * position + 0.5 * _smoothstep(position)


def _smoothstep(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def finger_affinity(surface: Surface, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Affinity of every vertex to the five fingers (v, 5), rows sum to 1; and who is a finger."""
    vertices = surface.vertices
    owner = np.full(len(vertices), -1)

    # Lines over the metacarpals: the middle half between neighbouring metacarpals is free.
    rays = {
        finger: (skeleton.joint(f"{finger}_cmc"), skeleton.joint(f"{finger}_mcp"))
        for finger in FINGER_NAMES
    }
    height = vertices[:, 1]
    lines = np.stack(
        [
            start[0] + (end - start)[0] * (height - start[1]) / (end - start)[1]
            for start, end in (rays[finger] for finger in FINGER_NAMES[1:])
        ],
        1,
    )
    nearest = np.argmin(np.abs(vertices[:, :1] - lines), 1)
    spacing = np.abs(lines[:, 0] - lines[:, 3]) / 3
    distance = np.abs(vertices[:, 0] - lines[np.arange(len(vertices)), nearest])
    outer = ((nearest == 0) & (vertices[:, 0] > lines[:, 0])) | (
        (nearest == 3) & (vertices[:, 0] < lines[:, 3])
    )
    below_knuckles = height < skeleton.joint("index_mcp")[1] - 4
    thumb_distance, thumb_fraction = _to_segment(vertices, *rays["thumb"])
    palm = below_knuckles & ((distance < 0.25 * spacing) | outer)
    palm &= (thumb_distance > 30) | (vertices[:, 0] < lines[:, 0] - 2)
    # The back of the hand over the index metacarpal and all of the hollow of the palm stay.
    palm &= (thumb_fraction < 1.0) | (thumb_distance > 26)
    owner[palm] = nearest[palm] + 1

    thumb = (thumb_distance < 17) & (thumb_fraction > 0.35)
    thumb &= vertices[:, 0] > lines[:, 0] + 6
    owner[thumb] = 0

    is_finger = np.zeros(len(vertices), bool)
    for column, finger in enumerate(FINGER_NAMES):
        inner = skeleton.joint(f"{finger}_mcp")
        outer_name = "thumb_ip" if finger == "thumb" else f"{finger}_pip"
        proximal_distance, fraction = _to_segment(vertices, inner, skeleton.joint(outer_name))
        chain = [skeleton.joint(outer_name)]
        if finger != "thumb":
            chain.append(skeleton.joint(f"{finger}_dip"))
        chain.append(skeleton.tips[column])
        distal_distance = np.min(
            [_to_segment(vertices, a, b)[0] for a, b in itertools.pairwise(chain)],
            axis=0,
        )
        threshold = 0.45 if finger == "thumb" else 0.68
        reach = 19 if finger == "thumb" else 14
        mine = (proximal_distance < reach) & (fraction > threshold) & (fraction < 1)
        mine |= distal_distance < 15
        owner[mine] = column
        is_finger |= mine

    fixed = owner >= 0
    laplacian = surface.laplacian()
    affinity = np.zeros((len(vertices), len(FINGER_NAMES)))
    affinity[fixed, owner[fixed]] = 1
    free = ~fixed
    affinity[free] = spsolve(
        sparse.csc_matrix(laplacian[free][:, free]), -(laplacian[free][:, fixed] @ affinity[fixed])
    )
    affinity = np.clip(affinity, 0, 1)
    return affinity / affinity.sum(1, keepdims=True), is_finger


def _to_segment(
    points: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to a segment, and where along it (0 to 1 within, beyond it outside)."""
    axis = end - start
    fraction = (points - start) @ axis / (axis @ axis)
    foot = start + np.clip(fraction, 0, 1)[:, None] * axis
    return np.linalg.norm(points - foot, axis=1), fraction


def _prune(weights: np.ndarray) -> np.ndarray:
    smallest_kept = np.sort(weights, 1)[:, -MAX_JOINTS][:, None]
    weights = np.where((weights >= smallest_kept) & (weights > 4e-3), weights, 0)
    return weights / weights.sum(1, keepdims=True)
