"""A hand that moves: it starts where it was placed, ends in the goal's pose and never jumps."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.camera import project
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.render.framing import Framing, Placement
from i2uv_jax.render.motion import between, motion_over
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.types import Camera
from tests.render.test_scene import CONFIG

FRAMES = 31
HAND = load_hand()


@pytest.fixture(scope="module")
def placements():
    """The first hand, the goal, and all frames between them."""

    @jax.jit
    def draw(rotations, views):
        def place(rotation, view, camera):
            pose = HandPose(rotation, rotation[0])
            framing = Framing(view, np.float32([0, 0.08, 0]), np.float32([0.1, 0, 0.6]), camera)
            return Placement(MEAN_SHAPE, pose, pose_hand(HAND, MEAN_SHAPE, pose), framing)

        camera = Camera(focal=np.float32(2), principal=np.float32([0.2, 0.5]))
        first, goal = (place(rotations[i], views[i], camera) for i in (0, 1))
        shares = motion_over(jax.random.key(0), FRAMES).share
        return first, goal, jax.vmap(lambda share: between(first, goal, share, HAND))(shares)

    turns = np.random.default_rng(0).normal(0, 0.4, (2, 20, 3))
    rotations = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(2, 20, 3, 3)
    views = Rotation.from_rotvec([[0, 0, 0.3], [1, 2, 0]]).as_matrix()
    return jax.device_get(draw(rotations.astype(np.float32), views.astype(np.float32)))


def in_camera(frames):
    place = jax.vmap(lambda framing, points: framing.to_camera_frame(points))
    return np.asarray(place(frames.framing, frames.posed.vertices))


def test_it_goes_from_one_pose_to_the_other(placements):
    first, goal, frames = placements
    rotations = frames.pose.joint_rotations
    np.testing.assert_allclose(rotations[0], first.pose.joint_rotations, atol=1e-5)
    np.testing.assert_allclose(rotations[-1], goal.pose.joint_rotations, atol=1e-5)
    assert np.abs(rotations[0] - rotations[-1]).max() > 0.3
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)
    np.testing.assert_allclose(
        in_camera(frames)[0], first.framing.to_camera_frame(first.posed.vertices), atol=1e-5
    )


def test_the_crop_follows_the_hand(placements):
    _, _, frames = placements
    plane = np.asarray(project(frames.framing.camera, in_camera(frames)))
    low, high = plane.min(axis=1), plane.max(axis=1)
    np.testing.assert_allclose((low + high) / 2, ((low + high) / 2)[[0] * FRAMES], atol=1e-3)
    np.testing.assert_allclose((high - low).max(1), (high - low)[0].max(), rtol=1e-3)


def test_it_never_jumps(placements):
    vertices = in_camera(placements[2])
    speed = np.linalg.norm(np.diff(vertices, axis=0), axis=-1)
    # A pendulum's: at the ends hardly any, nowhere more than pi / 2 times the mean.
    assert speed[[0, -1]].max() < 0.2 * speed.max()
    assert np.linalg.norm(np.diff(vertices, 2, axis=0), axis=-1).max() < 0.2 * speed.max()


@pytest.mark.slow
def test_frames_show_one_hand_before_one_background():
    def draw(key):
        return sample_batch(key, HAND, CONFIG, 5, is_sequence=True)

    batch = jax.device_get(jax.jit(draw)(jax.random.key(0)))
    change = np.abs(np.diff(batch.image, axis=0)).mean(axis=(1, 2, 3))
    assert (change > 1e-3).all() and (change < 0.15).all()
    length = np.linalg.norm(batch.keypoints[:, 10] - batch.keypoints[:, 9], axis=-1)
    np.testing.assert_allclose(length, length[0], rtol=0.05)  # skin is soft
