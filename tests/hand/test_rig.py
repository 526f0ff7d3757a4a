"""Hands taken apart into bones, rotations and skin: what comes out is what was put in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.subdivision import subdivide_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.model import forward_kinematics, pose_hand, rest_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.rig import JOINTS_PER_VERTEX, mesh_skin_weights, rig_of, world_pose
from i2uv_jax.hand.shape_prior import sample_shape

NUM_HANDS = 6


@pytest.fixture(scope="module")
def hands():
    """Posed vertices and joints, joints at rest and local rotations of random hands; mm."""

    def one(key):
        pose_key, shape_key = jax.random.split(key)
        shape, pose = sample_shape(shape_key), sample_pose(pose_key)
        posed, rest = pose_hand(load_hand(), shape, pose), rest_hand(load_hand(), shape)
        lengths = (1000 * part for part in (posed.vertices, posed.joints, rest.joints))
        return *lengths, pose.joint_rotations

    keys = jax.random.split(jax.random.key(5), NUM_HANDS)
    return [np.asarray(part, np.float64) for part in jax.jit(jax.vmap(one))(keys)]


def degrees(rotations, others):
    turns = Rotation.from_matrix(rotations) * Rotation.from_matrix(others).inv()
    return np.rad2deg(turns.magnitude())


@pytest.mark.parametrize("is_left", [False, True])
def test_rotations_and_joints_are_those_that_the_hand_was_posed_by(hands, is_left):
    mirror = np.array([-1, 1, 1]) if is_left else np.ones(3)
    turn = Rotation.from_euler("xyz", (0.5, -2.0, 1.0)).as_matrix()
    shift = np.array([30.0, -20.0, 500.0])
    for vertices, joints, rest_joints, rotations in zip(*hands, strict=True):
        rig = rig_of((vertices * mirror) @ turn.T + shift, is_left=is_left)
        world, _ = forward_kinematics(load_hand().joint_parents, jnp.asarray(joints), rotations)
        found_world, found_joints = world_pose(rig)
        expected = turn @ (np.asarray(world) * np.outer(mirror, mirror))
        assert degrees(found_world, expected).mean() < 2.0
        moved = (joints * mirror) @ turn.T + shift
        assert np.linalg.norm(found_joints - moved, axis=-1).mean() < 1.0
        own_bones, bones = (
            np.linalg.norm(points - points[list(np.maximum(load_hand().joint_parents, 0))], axis=-1)
            for points in (rig.rest_joints, rest_joints)
        )
        assert np.abs(own_bones - bones).mean() < 1.0


def test_a_posed_rig_is_the_mesh_again(hands):
    for vertices in hands[0]:
        np.testing.assert_allclose(rig_of(vertices).vertices, vertices, atol=1e-9)


def test_two_poses_of_one_person_have_one_skin_at_rest():
    shape = sample_shape(jax.random.key(3))
    pose = jax.jit(lambda key: pose_hand(load_hand(), shape, sample_pose(key)).vertices)
    one, other = (rig_of(1000 * np.asarray(pose(jax.random.key(number)))) for number in (0, 1))
    between = np.linalg.norm(one.rest_vertices - other.rest_vertices, axis=-1)
    # Muscles that bulge differ, and some degrees that fingers are taken to be twisted by.
    assert between.mean() < 3.0
    posed_between = np.linalg.norm(one.vertices - other.vertices, axis=-1)
    assert posed_between.mean() > 5 * between.mean()


def test_fine_meshes_have_the_rig_of_their_hand(hands):
    vertices = hands[0][1]
    fine = np.asarray(subdivide_vertices(subdivision_of(load_hand()), vertices), np.float64)
    rig, coarse = rig_of(fine), rig_of(fine[: len(vertices)])
    np.testing.assert_allclose(rig.joint_rotations, coarse.joint_rotations, atol=1e-9)
    np.testing.assert_allclose(rig.vertices, fine, atol=1e-6)
    weights = mesh_skin_weights(len(fine))
    assert ((weights > 0).sum(axis=1) <= JOINTS_PER_VERTEX).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)


def test_meshes_of_other_hands_have_no_rig():
    with pytest.raises(ValueError, match="778 vertices"):
        rig_of(np.zeros((778, 3)))


def test_meshes_that_are_not_finite_have_no_rig(hands):
    vertices = hands[0][0].copy()
    vertices[7, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        rig_of(vertices)
