"""Things before and in the hand: sound solids, in their place, and gone when they are absent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from i2uv_jax.config import OcclusionConfig
from i2uv_jax.geometry.mesh import vertex_normals
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.render.occluders import NUM_OCCLUDER_VERTICES, OCCLUDER_FACES, sample_occluders
from i2uv_jax.render.occlusion import visibility
from i2uv_jax.render.rasterise import rasterise

COUNT = 32
SIZE = 48
NONE = OcclusionConfig(front_share=0, grasp_share=0, limb_share=0)


@pytest.fixture(scope="module")
def hands():
    """Vertices and keypoints of posed hands of mean shape, half a metre before the camera."""

    def one(key):
        posed = pose_hand(load_hand(), jnp.float32(MEAN_SHAPE), sample_pose(key))
        return posed.vertices + jnp.array([0, 0, 0.5]), posed.keypoints + jnp.array([0, 0, 0.5])

    return jax.device_get(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), COUNT)))


def occlude(hands, config):
    keys = jax.random.split(jax.random.key(1), COUNT)
    sample = jax.jit(jax.vmap(lambda key, points: sample_occluders(key, points, config)))
    return jax.device_get(sample(keys, hands[1]))


def visible_hand(hands, occluders):
    """Whether each pixel shows the hand, with the occluders before it."""
    vertices = np.concatenate([hands[0], occluders.vertices_m], axis=1)
    hand_faces = load_hand().faces
    faces = np.concatenate([hand_faces, OCCLUDER_FACES + hands[0].shape[1]])
    points = SIZE * (1.6 * vertices[..., :2] / vertices[..., 2:] + 0.5)
    face = rasterise(points, vertices[..., 2], faces, height=SIZE, width=SIZE).face
    return np.asarray((face >= 0) & (face < len(hand_faces)))


def test_things_are_closed_solids_with_outward_faces(hands):
    everything = OcclusionConfig(front_share=1, grasp_share=1, limb_share=1)
    occluders = occlude(hands, everything)
    assert occluders.vertices_m.shape == (COUNT, NUM_OCCLUDER_VERTICES, 3)
    assert occluders.albedo.shape == occluders.vertices_m.shape
    assert 0 <= occluders.albedo.min() <= occluders.albedo.max() <= 1
    mesh = trimesh.Trimesh(occluders.vertices_m[0], OCCLUDER_FACES, process=False)
    assert mesh.is_watertight
    assert all(body.volume > 0 for body in mesh.split())


def test_front_things_and_fingers_hide_the_hand(hands):
    free = visible_hand(hands, occlude(hands, NONE))
    for share in ("front_share", "limb_share"):
        config = OcclusionConfig(**{"front_share": 0, "grasp_share": 0, "limb_share": 0, share: 1})
        visible = visible_hand(hands, occlude(hands, config))
        assert not (visible & ~free).any()
        hidden = 1 - visible.sum(axis=(1, 2)) / free.sum(axis=(1, 2))
        # Most hide something, and hardly any hides nearly all.
        assert np.mean(hidden > 0.02) > 0.7
        assert np.mean(hidden > 0.8) < 0.15


def test_absent_things_change_nothing(hands):
    absent = occlude(hands, NONE)
    assert (absent.vertices_m[..., 2] < 0).all()
    nothing = absent.replace(vertices_m=np.full_like(absent.vertices_m, -5.0))
    np.testing.assert_array_equal(visible_hand(hands, absent), visible_hand(hands, nothing))


def test_only_things_that_are_there_take_light_from_the_hand(hands):
    """Light from all around that reaches the skin, past what is held in the hand alone."""
    grasping = OcclusionConfig(front_share=0, grasp_share=1, limb_share=0)
    occluders = occlude(hands, grasping)
    normals = vertex_normals(hands[0], load_hand().faces)
    all_around = jax.jit(jax.vmap(visibility, (0, 0, 0, 0, None, None)))

    def around(present):
        seen = np.broadcast_to(present[..., None], (*present.shape, hands[0].shape[1]))
        light = np.float32([[0, 0, -1]])
        return all_around(hands[0], normals, occluders.capsules, seen, light, np.ones(1))[0]

    assert occluders.present[:, 1].mean() > 0.5
    np.testing.assert_array_equal(around(np.zeros_like(occluders.present)), 1)
    darkest = np.asarray(around(occluders.present)).min(axis=1)
    assert (darkest[~occluders.present[:, 1]] == 1).all()
    # Where a thing touches the skin hardly any light is left.
    assert np.median(darkest[occluders.present[:, 1]]) < 0.3


def test_shares_decide_how_often(hands):
    keys = jax.random.split(jax.random.key(2), 400)
    config = OcclusionConfig(front_share=0.3, grasp_share=0, limb_share=0)
    sample = jax.jit(jax.vmap(lambda key: sample_occluders(key, hands[1][0], config).vertices_m))
    present = (np.asarray(sample(keys))[..., 2] > 0).any(axis=1)
    assert present.mean() == pytest.approx(0.3, abs=0.08)
