"""The default model on hands that nobody has trained on, and what it says of other things."""

import io

import numpy as np
import pytest
from PIL import Image

import i2uv_jax
from i2uv_jax.metrics import aligned_position_error

KEYPOINT_ERROR_MM = 14.5
"""Mean, after alignment, with what rounding on other machines may add. Training may lower it."""


@pytest.fixture(scope="module")
def model():
    return i2uv_jax.load_model("small")


@pytest.fixture(scope="module")
def unseen(request):
    """Pictures of right hands and their keypoints, by `launch/draw_unseen_hands.py`."""
    stored = np.load(request.config.rootpath / "tests" / "golden" / "unseen_hands.npz")
    column = np.asarray(Image.open(io.BytesIO(stored["jpeg"].tobytes())))
    keypoints_mm = 1000 * stored["keypoints_m"]
    size = column.shape[1]
    return column.reshape(len(keypoints_mm), size, size, 3), keypoints_mm


def test_its_error_on_unseen_hands_stays(model, unseen):
    images, keypoints_mm = unseen
    found = model(images).keypoints_3d_mm
    error_mm = float(aligned_position_error(found, keypoints_mm).mean())
    assert 5 < error_mm < KEYPOINT_ERROR_MM


def test_a_mirrored_picture_of_the_other_hand_gives_the_mirrored_mesh(model, unseen):
    images, _ = unseen
    right = model(images[:2])
    left = model(images[:2, :, ::-1], handedness="left")
    mirrored = right.vertices_mm * np.array([-1, 1, 1])
    np.testing.assert_allclose(left.vertices_mm, mirrored, atol=0.05)
