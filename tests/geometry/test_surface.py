"""Points on surfaces and distances from them, against trimesh's and by hand."""

import numpy as np
import pytest
import trimesh

from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.geometry.surface import DistanceTo, sample_surface


@pytest.fixture(scope="module")
def sphere():
    return trimesh.creation.icosphere(subdivisions=3)


def test_samples_lie_on_their_triangles_evenly(sphere):
    samples = sample_surface(sphere.vertices, sphere.faces, 4000)
    outside = np.linalg.norm(samples.points, axis=1)
    assert (outside < 1 + 1e-9).all() and outside.min() > 0.99
    # Smoothed normals of a sphere are its radii, to a few degrees.
    cosines = (samples.normals * samples.points).sum(axis=1) / outside
    assert cosines.min() > np.cos(np.radians(8))
    # A half has half of the area, to three standard deviations of independent draws.
    assert abs((samples.points[:, 0] > 0).mean() - 0.5) < 3 * 0.5 / np.sqrt(4000)


def test_distances_are_trimesh_s(sphere):
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (300, 3))
    samples = sample_surface(sphere.vertices, sphere.faces, 20_000)
    got = DistanceTo(sphere.vertices, sphere.faces, samples)(points)
    _, expected, _ = trimesh.proximity.closest_point(sphere, points)
    # Where many triangles are as near as each other, the nearest may be left out.
    assert (got > expected - 1e-9).all() and (got - expected).max() < 2e-3
    assert np.quantile(got - expected, 0.95) < 1e-9


def test_distance_beside_a_triangle_is_that_from_its_edges_and_corners():
    vertices, faces = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]], float), np.array([[0, 1, 2]])
    to_triangle = DistanceTo(vertices, faces, sample_surface(vertices, faces, 50))
    points = np.array([[0.5, 0.5, 3], [1, -2, 0], [-3, -4, 0], [2, 2, 0]], float)
    np.testing.assert_allclose(to_triangle(points), [3, 2, 5, np.sqrt(2)])


def test_a_surface_without_area_has_no_points():
    with pytest.raises(ValueError, match="no area"):
        sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 10)


def test_normals_of_vertices_are_trimesh_s(sphere):
    np.testing.assert_allclose(
        vertex_normals(sphere.vertices, sphere.faces), sphere.vertices, atol=0.02
    )
