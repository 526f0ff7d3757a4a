"""The rasteriser against trimesh's ray casting, and on cases worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles
from i2uv_jax.hand.skeleton import NUM_SHAPE
from i2uv_jax.render.rasterise import interpolate, rasterise
from i2uv_jax.render.scene import all_faces

SIZE = 96
FOCAL_PX = 1.6 * SIZE


def posed_hand_m(name, turn):
    """Hand and forearm in a named pose, the hand frame turned and set 0.4 m before the camera."""
    hand = load_hand()
    shape = np.concatenate([np.full(6, 0.5), np.zeros(NUM_SHAPE - 6)]).astype(np.float32)
    rotations = joint_rotations_from_angles(hand, jnp.asarray(NAMED_POSES[name], jnp.float32))
    posed = pose_hand(hand, shape, HandPose(rotations, forearm_rotation=jnp.eye(3)))
    vertices = np.concatenate([posed.vertices, posed.forearm_vertices])
    return (vertices - vertices[:1609].mean(axis=0)) @ turn.as_matrix().T + [0, 0, 0.4]


TURNS = {"rest": Rotation.from_euler("xyz", [2.6, 0.5, 0.4])}
TURNS |= zip(("fist", "pinch", "telephone"), Rotation.random(3, rng=5), strict=True)
"""From the hand frame to the camera's, by pose."""


@pytest.mark.parametrize("name", TURNS)
def test_agrees_with_ray_casting(name):
    vertices, faces = posed_hand_m(name, TURNS[name]), all_faces(load_hand())
    points_px = FOCAL_PX * vertices[:, :2] / vertices[:, 2:] + SIZE / 2
    fragments = rasterise(
        points_px[None].astype(np.float32),
        vertices[None, :, 2].astype(np.float32),
        faces,
        height=SIZE,
        width=SIZE,
        cull_back_faces=False,
    )
    covered = np.asarray(fragments.face[0]) >= 0

    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    plane = (np.stack([columns, rows], axis=-1) - SIZE / 2) / FOCAL_PX
    rays = np.concatenate([plane, np.ones((SIZE, SIZE, 1))], axis=-1).reshape(-1, 3)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    points, ray, _ = mesh.ray.intersects_location(np.zeros_like(rays), rays)
    depth = np.full(SIZE * SIZE, np.inf)
    np.minimum.at(depth, ray, points[:, 2])
    hit = np.isfinite(depth).reshape(SIZE, SIZE)

    assert hit.sum() > 1000
    assert (hit & covered).sum() / (hit | covered).sum() > 0.99
    both = hit & covered
    difference_mm = 1000 * np.abs(fragments.depth[0] - depth.reshape(SIZE, SIZE))[both]
    assert difference_mm.max() < 0.5


def rasterise_one(points, depth, faces, **options):
    fragments = rasterise(
        jnp.asarray([points], jnp.float32),
        jnp.asarray([depth], jnp.float32),
        np.asarray(faces, np.int32),
        height=8,
        width=8,
        **options,
    )
    return fragments


def test_covers_exactly_the_pixels_whose_centres_lie_inside():
    # The right triangle (0, 0), (0, 8), (8, 0): centres with x + y <= 8, the diagonal included.
    fragments = rasterise_one([[0, 0], [0, 8], [8, 0]], [1, 1, 1], [[0, 1, 2]])
    rows, columns = np.mgrid[:8, :8]
    np.testing.assert_array_equal(fragments.face[0] == 0, columns + rows + 1 <= 8)


def test_nearer_triangle_wins_and_back_faces_are_left_out():
    points = [[0, 0], [0, 20], [20, 0]]
    near_and_far = [[0, 1, 2], [3, 4, 5]]
    fragments = rasterise_one(points + points, [2, 2, 2, 1, 1, 1], near_and_far)
    assert (np.asarray(fragments.face) == 1).all()
    turned = rasterise_one(points, [1, 1, 1], [[0, 2, 1]])
    assert (np.asarray(turned.face) == -1).all()
    shown = rasterise_one(points, [1, 1, 1], [[0, 2, 1]], cull_back_faces=False)
    assert (np.asarray(shown.face) == 0).all()


def test_interpolation_is_perspective_correct():
    # Between depth 1 at x = 0 and depth 3 at x = 8 the middle of the screen, x = 4, has inverse
    # depth (1 + 1/3) / 2 = 2/3, so depth 1.5 and a quarter of the way along the edge in space.
    points = [[-4, -4], [-4, 12], [12, -4], [12, 12]]
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    fragments = rasterise_one(points, [0.6, 0.6, 3, 3], faces)
    values = jnp.asarray([[[0.0], [0.0], [1.0], [1.0]]])
    shown = np.asarray(interpolate(fragments, faces, values))[0, :, :, 0]
    x = (np.arange(8) + 0.5 + 4) / 16
    expected = (x / 3) / ((1 - x) / 0.6 + x / 3)
    np.testing.assert_allclose(shown, np.broadcast_to(expected, (8, 8)), atol=1e-5)


def test_triangles_behind_the_camera_and_empty_pictures_are_harmless():
    fragments = rasterise_one([[0, 0], [0, 8], [8, 0]], [1, -1, 1], [[0, 1, 2]])
    assert (np.asarray(fragments.face) == -1).all()
    assert np.isinf(fragments.depth).all()
    assert (np.asarray(fragments.weights) == 0).all()
