"""Normals of UV maps against a sphere's, and angles against the cosine."""

import numpy as np

from i2uv_jax.geometry.map_normals import angles_degrees, has_normal, uv_map_normals


def test_a_sphere_s_normals_are_its_points():
    v, u = np.meshgrid(np.linspace(0.5, 2.5, 65), np.linspace(0, 2, 65), indexing="ij")
    points = np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)], axis=-1)
    normals = uv_map_normals(0.01 * points + 0.5)
    along = np.sum(np.asarray(normals) * points[1:-1, 1:-1], axis=-1)
    # One side throughout: u x v points inwards for these coordinates.
    np.testing.assert_allclose(along, -1, atol=1e-4)


def test_a_border_texel_has_no_normal():
    mask = np.ones((5, 5), bool)
    mask[2, 4] = False
    # (2, 3) is the neighbour of the hole.
    expected = np.ones((3, 3), bool)
    expected[1, 2] = False
    np.testing.assert_array_equal(has_normal(mask), expected)


def test_small_and_large_angles():
    angle = np.array([1e-3, 30, 90, 179.0], np.float32)
    other = np.stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0 * angle], axis=-1)
    np.testing.assert_allclose(angles_degrees(np.array([1.0, 0, 0]), other), angle, rtol=1e-3)
