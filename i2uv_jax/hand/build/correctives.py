"""Pose correctives: what plain linear blend skinning lacks at a bent joint.

Blending two rotations linearly draws a vertex that follows a joint by a share u towards the joint
(by 30 % at 90 degrees and u = 1/2): knuckles collapse. Turning it by u times the angle keeps its
distance. The difference, carried back to the rest pose, is fitted with the three flexion features
of `model.flexion_features`.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from i2uv_jax.hand.build.joints import Skeleton
from i2uv_jax.hand.skeleton import FINGER_JOINTS, JOINT_NAMES, METACARPAL_FINGERS, NUM_JOINTS

_KNUCKLES = [JOINT_NAMES.index(f"{finger}_mcp") for finger in METACARPAL_FINGERS]
_FITTED_DEGREES = np.arange(-30, 111, 10)


def features(angle: np.ndarray) -> np.ndarray:
    """The features of a pure flexion by `angle` (radians): (..., 3)."""
    fall = 1 - np.cos(angle)
    return np.stack([fall, np.sin(angle) * fall, fall**2], -1)


def followers(weights: np.ndarray, skeleton: Skeleton, joint: int) -> np.ndarray:
    """Share in which each vertex follows a joint: the weights of it and all joints beyond."""
    subtree = [joint]
    for child in range(joint + 1, NUM_JOINTS):
        if skeleton.parent(child) in subtree:
            subtree.append(child)
    return weights[:, subtree].sum(1)


def pose_correctives(
    vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """Corrective shapes (3 * 15, v, 3), basis by basis, in the unit of `vertices`; their joints."""
    angles = np.deg2rad(_FITTED_DEGREES)
    basis = features(angles)
    shapes = np.zeros((3, len(FINGER_JOINTS), len(vertices), 3))
    for column, joint in enumerate(FINGER_JOINTS):
        own = followers(weights, skeleton, joint)
        share = own
        if joint in _KNUCKLES:
            # Webs and knuckles belong to several fingers. They are corrected for fingers that bend
            # together, each finger giving its part; each on its own would correct too much.
            share = sum(followers(weights, skeleton, knuckle) for knuckle in _KNUCKLES)
        moved = np.flatnonzero((own > 0.01) & (share < 0.99))
        u = share[moved]
        axis = np.cross(skeleton.bone_directions[joint], skeleton.palmar_normals[joint])
        offset = vertices[moved] - skeleton.joints[joint]
        needed = []
        for angle in angles:
            whole = Rotation.from_rotvec(axis * angle).as_matrix()
            part = Rotation.from_rotvec(axis * (u * angle)[:, None]).as_matrix()
            target = np.einsum("vab,vb->va", part, offset)
            blended = (1 - u)[:, None, None] * np.eye(3) + u[:, None, None] * whole
            needed.append(np.linalg.solve(blended, target[..., None])[..., 0] - offset)
        flat = np.array(needed).reshape(len(angles), -1)
        solution = np.linalg.lstsq(basis, flat, rcond=None)[0].reshape(3, len(moved), 3)
        shapes[:, column, moved] = solution * (own[moved] / u)[:, None]
    return shapes.reshape(-1, len(vertices), 3), np.array(FINGER_JOINTS)
