"""Fits of hands whose surface is known, of a hand that no rig made, and of what is no hand.

The meshes are made independently of the fitter: see `scans`.
"""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.surface import DistanceTo, sample_surface
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.registration.fitted_hand import (
    fitted_hand,
    fitted_hand_bytes,
    read_fitted_hand,
    surface_glb_bytes,
)
from i2uv_jax.registration.fitting import HandFitter, NoHandError
from i2uv_jax.registration.scan import Scan
from tests.registration.scans import make_scan, sculpted_hand

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitter():
    return HandFitter(load_hand())


def distance_mm(vertices_m, true_vertices_m, true_faces):
    """Of points from the true surface."""
    vertices_mm = 1e3 * true_vertices_m
    samples = sample_surface(vertices_mm, true_faces, 80_000)
    return DistanceTo(vertices_mm, true_faces, samples)(1e3 * vertices_m)


def test_a_right_fist_in_millimetres(fitter, tmp_path):
    scan, truth = make_scan(100, angles=NAMED_POSES["fist"], scale=1000.0)
    registration = fitter.fit(scan, handedness="right")
    # The true hand is 176 mm long: that settles the unit, and with it the size.
    assert registration.unit_is_known
    assert registration.similarity.scale == pytest.approx(0.001, rel=1e-6)
    # Against what was scanned, and against the surface before holes and noise.
    assert registration.scan_to_hand.mean_mm < 0.7 and registration.hand_to_scan.mean_mm < 0.7
    surface = truth.to_world(registration)
    error = distance_mm(surface, truth.vertices, truth.faces)
    assert error.mean() < 0.4 and np.percentile(error, 95) < 1.0
    # Not only on the surface, but at the right place on it: the fitted map is the true map.
    fitted = fitted_hand(fitter, registration, "0123")
    mask = build_tables(fitter.hand.atlas, 256).texel_mask
    apart = np.linalg.norm(truth.to_world(registration, fitted.uv_map) - truth.uv_map, axis=-1)
    assert 1e3 * apart[mask].mean() < 1.0
    # A tenth was cut out in holes.
    assert 0.8 < fitted.seen_share < 0.97
    assert 0.8 < fitted.seen[mask].mean() < 0.97 and not fitted.seen[~mask].any()

    (tmp_path / "hand.npz").write_bytes(fitted_hand_bytes(fitted))
    read = read_fitted_hand(tmp_path / "hand.npz", str(fitted.atlas))
    np.testing.assert_array_equal(read.uv_map, fitted.uv_map)
    assert str(read.scan) == "0123"
    # The map holds the mesh: from one to the other and back.
    tables = build_tables(subdivision_of(fitter.hand).atlas, 256)
    back = np.asarray(vertices_from_uv_map(tables, read.uv_map))
    assert 1e3 * np.linalg.norm(back - registration.surface_vertices, axis=1).mean() < 0.1
    content = trimesh.util.wrap_as_stream(surface_glb_bytes(fitter.hand, registration, fitted))
    (mesh,) = trimesh.load_scene(content, file_type="glb").geometry.values()
    np.testing.assert_allclose(mesh.extents, np.ptp(registration.surface_vertices, axis=0), 1e-4)


def test_a_left_hand_with_its_forearm_in_an_unknown_unit(fitter):
    scan, truth = make_scan(
        101, angles=NAMED_POSES["relaxed"], scale=7.3, forearm=True, mirror=True
    )
    registration = fitter.fit(scan)
    assert registration.handedness == "left" and not registration.unit_is_known
    error = distance_mm(truth.to_world(registration), truth.vertices, truth.faces)
    assert error.mean() < 0.7


def test_a_hand_that_no_rig_made(fitter):
    vertices, faces = sculpted_hand()
    turned = 250 * vertices @ Rotation.random(random_state=5).as_matrix().T + 3
    registration = fitter.fit(Scan(turned, faces))
    assert registration.handedness == "right"
    assert registration.scan_to_hand.mean_mm < 0.7 and registration.hand_to_scan.mean_mm < 0.7


def test_a_sphere_is_no_hand(fitter):
    ball = trimesh.creation.icosphere(subdivisions=4)
    with pytest.raises(NoHandError, match=r"no hand \(mean distance .* mm after fitting, limit"):
        fitter.fit(Scan(ball.vertices, ball.faces), handedness="right")


def test_a_wrong_unit_is_said(fitter):
    scan, _ = make_scan(100, angles=NAMED_POSES["fist"], scale=1000.0)
    with pytest.raises(NoHandError, match=r"mm long in m$"):
        fitter.fit(scan, handedness="right", unit="m")
