"""Turned joints: what skinning did is undone, what it cannot do stays."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.evaluate.articulation import skinning_of, turn_joints
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import forward_kinematics, linear_blend_skinning

HAND = load_hand()
RIG = skinning_of(HAND)
VERTICES = (HAND.template - HAND.template.mean(0) + [0, 0, 0.6]).astype(np.float32)


@jax.jit
def posed(vertices, rotations):
    joints = HAND.joint_regressor @ vertices
    world, places = forward_kinematics(HAND.joint_parents, joints, rotations)
    return linear_blend_skinning(vertices, HAND.skin_weights, joints, world, places)


def bent(degrees):
    """The hand with all joints turned at random, up to so far, and moved by 20 mm."""
    turns = np.deg2rad(degrees) * np.random.default_rng(0).uniform(-0.6, 0.6, (20, 3))
    rotations = Rotation.from_rotvec(turns).as_matrix().astype(np.float32)
    return np.asarray(posed(VERTICES, rotations)) + np.float32([0.02, 0, 0])


@pytest.mark.parametrize("degrees", [20, 60])
def test_a_hand_is_posed_like_another_and_points_on_it_come_along(degrees):
    target = bent(degrees)
    between = HAND.faces[::50]
    points = VERTICES[between].mean(axis=1)
    # Skinning is linear in place and weight, so that a triangle's middle is not quite its corners'.
    weights = HAND.skin_weights[between].mean(axis=1)
    moved = turn_joints(RIG, VERTICES, target, points, weights)
    assert np.linalg.norm(VERTICES - target, axis=1).mean() > 0.015
    assert np.linalg.norm(moved - target[between].mean(axis=1), axis=1).mean() < 2e-4
    again = turn_joints(RIG, VERTICES, target, VERTICES, HAND.skin_weights)
    np.testing.assert_allclose(again, target, atol=1e-4)


def test_vertices_that_correspond_only_as_means_are_enough():
    target = bent(20)
    matrix = np.eye(HAND.num_vertices, dtype=np.float32)
    matrix = ((matrix + np.roll(matrix, 1, axis=1)) / 2)[::2]
    moved = turn_joints(
        RIG, VERTICES, matrix @ target, VERTICES, HAND.skin_weights, to_target=matrix
    )
    assert np.linalg.norm(moved - target, axis=1).mean() < 3e-4


def test_a_bump_is_no_pose():
    bump = VERTICES.copy()
    bump[800:820, 2] += 0.003
    moved = turn_joints(RIG, bump, VERTICES, bump, HAND.skin_weights)
    left = np.linalg.norm(moved - VERTICES, axis=1)
    assert left[800:820].min() > 0.0015
    assert np.median(left) < 1e-4
