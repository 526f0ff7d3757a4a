"""Fits the keypoint regressor: keypoints as non-negative combinations of posed vertices."""

import jax
import numpy as np
from scipy.optimize import nnls

from i2uv_jax.geometry.keypoints import FINGER_NAMES, NUM_KEYPOINTS
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.build.joints import Skeleton
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.hand.skeleton import KEYPOINT_JOINTS

_NUM_CANDIDATES = 70
_MAX_VERTICES = 30
_NUM_SAMPLES = 200


def rough_regressor(
    mean: np.ndarray, joint_regressor: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """Joint rows as they are, tips at the nearest vertices: (21, v)."""
    regressor = np.zeros((NUM_KEYPOINTS, len(mean)))
    for keypoint, joint in enumerate(KEYPOINT_JOINTS):
        if joint >= 0:
            regressor[keypoint] = joint_regressor[joint]
    for finger in range(len(FINGER_NAMES)):
        # The end of the finger: a few vertices around the surface point farthest along the bone.
        nearest = np.argsort(np.linalg.norm(mean - skeleton.tips[finger], axis=1))[:5]
        regressor[4 + 4 * finger, nearest] = 1 / len(nearest)
    return regressor


def fit_keypoint_regressor(hand: Hand, skeleton: Skeleton) -> np.ndarray:
    """Rows that follow the joint centres of forward kinematics over random poses and shapes."""
    keys = jax.random.split(jax.random.key(3), _NUM_SAMPLES)

    def one(key):
        shape_key, pose_key = jax.random.split(key)
        posed = pose_hand(hand, sample_shape(shape_key, hand), sample_pose(pose_key, hand))
        return posed.vertices, posed.joints

    vertices, joints = (np.asarray(a, np.float64) * 1e3 for a in jax.jit(jax.vmap(one))(keys))
    mean_spread = np.linalg.norm(vertices.mean(0)[None] - joints.mean(0)[:, None], axis=-1)
    regressor = hand.keypoint_regressor.astype(np.float64)
    for keypoint, joint in enumerate(KEYPOINT_JOINTS):
        if joint <= 0:  # tips; and the wrist, whose row also sets the origin of the hand frame
            continue
        chosen = np.argsort(mean_spread[joint])[:_NUM_CANDIDATES]
        row = _fit_row(vertices[:, chosen], joints[:, joint])
        keep = np.argsort(row)[-_MAX_VERTICES:]
        chosen = chosen[keep]
        row = _fit_row(vertices[:, chosen], joints[:, joint])
        regressor[keypoint] = 0
        regressor[keypoint, chosen] = row / row.sum()
    return regressor


def _fit_row(vertices: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Non-negative weights (sum near 1) with sum w v = target over all samples."""
    count = vertices.shape[1]
    system = (vertices - target[:, None]).transpose(0, 2, 1).reshape(-1, count)
    heavy = np.full((1, count), 1e3 * np.sqrt(len(system)))
    ridge = np.eye(count) * 0.3 * np.sqrt(len(system))
    goal = np.zeros(len(system) + 1 + count)
    goal[len(system)] = heavy[0, 0]
    return nnls(np.concatenate([system, heavy, ridge]), goal)[0]
