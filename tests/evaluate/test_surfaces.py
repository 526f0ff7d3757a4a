"""Surfaces against surfaces and a depth sensor's view, on shapes whose distances are known."""

import numpy as np
import pytest
import trimesh

from i2uv_jax.evaluate.depth_sensor import FOCAL_PX, measure
from i2uv_jax.evaluate.surfaces import Surface, compare, uv_surface


@pytest.fixture(scope="module")
def ball():
    """A ball of 4 cm radius, 60 cm before the sensor."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.04)
    return mesh.vertices + np.array([0, 0, 0.6]), np.asarray(mesh.faces)


def test_a_larger_ball_is_as_far_as_its_radius_is_longer(ball):
    vertices, faces = ball
    larger = (vertices - [0, 0, 0.6]) * 1.1 + [0, 0, 0.6]
    found = compare(Surface(larger, faces), Surface(vertices, faces))
    for name in ("to_truth_mean_mm", "to_truth_median_mm", "from_truth_mean_mm"):
        assert found[name] == pytest.approx(4, abs=0.05)
    assert found["complete"] == 0
    same = compare(Surface(vertices, faces), Surface(vertices, faces))
    assert same["from_truth_mean_mm"] == pytest.approx(0, abs=1e-3) and same["complete"] == 1


def test_half_a_ball_is_near_the_truth_and_not_complete(ball):
    vertices, faces = ball
    near = faces[(vertices[faces][..., 2] < 0.6).all(axis=1)]
    found = compare(Surface(vertices, near), Surface(vertices, faces))
    assert found["to_truth_mean_mm"] == pytest.approx(0, abs=1e-3)
    assert 0.45 < found["complete"] < 0.56


def test_the_sensor_sees_the_near_side_in_steps_with_the_noise_that_is_stated(ball):
    vertices, faces = ball
    points = measure(vertices, faces, np.random.default_rng(0))
    # Its half that faces the sensor, less the rim: a disc of about 74 pixels across.
    disc = np.pi * (0.04 / 0.6 * FOCAL_PX) ** 2
    assert 0.7 * disc < len(points) < disc
    assert points[:, 2].max() < 0.61
    steps = 1 / points[:, 2] / 2.85e-3
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    # Along the ray, about 0.51 mm of noise at 0.6 m and 0.3 of steps of 1.03 mm: 0.6 mm in all.
    off = np.linalg.norm(points - [0, 0, 0.6], axis=1) - 0.04
    assert abs(off.mean()) < 1e-4
    assert 0.3e-3 < off.std() < 0.7e-3
    with pytest.raises(ValueError, match="empty"):
        compare(Surface(np.zeros((0, 3))), Surface(vertices, faces))


def test_a_uv_map_s_mesh_has_two_triangles_between_four_texels_in_the_chart():
    points = np.zeros((3, 3, 3))
    points[..., 0], points[..., 1] = np.meshgrid(np.arange(3.0), np.arange(3.0))
    mask = np.ones((3, 3), bool)
    mask[2, 2] = False
    surface = uv_surface(points, mask)
    corners = surface.vertices[surface.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    assert len(surface.faces) == 6 and area.sum() / 2 == pytest.approx(3)
