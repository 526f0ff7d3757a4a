"""The default model on hands that nobody has trained on, and what it says of other things."""

import io

import numpy as np
import pytest
from PIL import Image

import i2uv_jax
from i2uv_jax.metrics import aligned_position_error

KEYPOINT_ERROR_MM = 13.9
TOLD_ERROR_MM = 6.6
"""Means, after alignment, with what rounding on other machines may add; without keypoints, and with
true ones in the picture plane. Training may lower them."""


@pytest.fixture(scope="module")
def model():
    return i2uv_jax.load_model("small")


@pytest.fixture(scope="module")
def unseen(request):
    """Pictures of right hands, and their keypoints in millimetres and in pixels, by
    `launch/draw_unseen_hands.py`."""
    stored = np.load(request.config.rootpath / "tests" / "golden" / "unseen_hands.npz")
    column = np.asarray(Image.open(io.BytesIO(stored["jpeg"].tobytes())))
    keypoints_mm = 1000 * stored["keypoints_m"]
    size = column.shape[1]
    pictures = column.reshape(len(keypoints_mm), size, size, 3)
    return pictures, keypoints_mm, size * stored["keypoints_crop"]


def test_its_error_on_unseen_hands_stays(model, unseen):
    images, keypoints_mm, _ = unseen
    assert 5 < mean_error_mm(model(images), keypoints_mm) < KEYPOINT_ERROR_MM


def test_keypoints_that_it_is_told_bring_it_nearer(model, unseen):
    images, keypoints_mm, keypoints_px = unseen
    told = mean_error_mm(model(images, keypoints=keypoints_px), keypoints_mm)
    in_plane = mean_error_mm(model(images, keypoints=keypoints_px[..., :2]), keypoints_mm)
    assert told < in_plane < mean_error_mm(model(images), keypoints_mm)
    assert in_plane < TOLD_ERROR_MM


def mean_error_mm(found, keypoints_mm) -> float:
    return float(aligned_position_error(found.keypoints_3d_mm, keypoints_mm).mean())


def test_a_mirrored_picture_of_the_other_hand_gives_the_mirrored_mesh(model, unseen):
    images, *_ = unseen
    right = model(images[:2])
    left = model(images[:2, :, ::-1], handedness="left")
    mirrored = right.vertices_mm * np.array([-1, 1, 1])
    np.testing.assert_allclose(left.vertices_mm, mirrored, atol=0.05)
