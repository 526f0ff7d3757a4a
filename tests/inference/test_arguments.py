"""What users pass to a predictor: one value for all pictures, or one a picture."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.inference.arguments import as_cameras, as_keypoints

CAMERA = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])
POINTS = np.arange(63.0).reshape(21, 3)

FORMS = pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, jnp.asarray])


@FORMS
def test_one_camera_is_for_all_and_none_is_unknown(form):
    camera = form(CAMERA)
    for found in as_cameras(camera, 2):
        np.testing.assert_array_equal(found, CAMERA)
    known, unknown = as_cameras([camera, None], 2)
    np.testing.assert_array_equal(known, CAMERA)
    assert unknown is None


@FORMS
def test_one_set_of_keypoints_is_for_all_and_depth_may_be_unknown(form):
    points = form(POINTS)
    for found in as_keypoints(points, 2):
        np.testing.assert_array_equal(found, POINTS)
    both, flat, unknown = as_keypoints([points, form(POINTS[:, :2]), None], 3)
    np.testing.assert_array_equal(both, POINTS)
    np.testing.assert_array_equal(flat[:, :2], POINTS[:, :2])
    assert np.isnan(flat[:, 2]).all() and unknown is None


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"camera: expected a finite 3 x 3 matrix, got shape"):
        as_cameras(CAMERA[:2], 2)
    with pytest.raises(ValueError, match=r"keypoints: expected shape .* got \(20, 3\)"):
        as_keypoints(POINTS[1:].tolist(), 2)
    with pytest.raises(ValueError, match=r"camera: expected one for all or 2"):
        as_cameras([CAMERA], 2)
