"""What comes back of a stored sample, and how large it is."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from i2uv_jax.config import RenderConfig
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.data.stored import (
    MAX_SAMPLE_BYTES,
    decode_sample,
    dequantise,
    encode_sample,
    quantise,
)
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.eight_bit import to_bytes


@pytest.fixture
def sample(fast_renderer):
    """One sample of 48 pixels, leaves without batch axis."""
    generator = HandGenerator(RenderConfig(image_size=48, uv_map_size=2), load_hand(), 1)
    (batch,) = generator.batches(jax.random.key(3), 1)
    return jax.tree.map(lambda leaf: leaf[0], batch)


def decoded(stored):
    """A stored sample as a reader hands it out: pictures as arrays."""
    mask = np.asarray(Image.open(io.BytesIO(stored["hand_mask"])))[..., None]
    image = np.asarray(Image.open(io.BytesIO(stored["image"])))
    return {**stored, "image": image, "hand_mask": mask}


def test_geometry_comes_back_to_micrometres(sample):
    tables = build_tables(load_hand().atlas, 32)
    stored = encode_sample(sample, to_bytes(sample.image), image_format="png", quality=95)
    back = decode_sample(decoded(stored), tables)
    assert np.abs(back.vertices - sample.vertices).max() < 3e-6
    crop = to_crop_space(sample.camera, sample.vertices, sample.keypoints[0, 2])
    assert np.abs(back.uv_map - uv_map_from_vertices(tables, crop)).max() < 3e-5
    np.testing.assert_array_equal(back.keypoints, sample.keypoints)
    np.testing.assert_array_equal(back.keypoint_visible, sample.keypoint_visible)
    np.testing.assert_array_equal(back.camera.focal, sample.camera.focal)
    np.testing.assert_array_equal(back.camera.principal, sample.camera.principal)
    # Half of one of 255 levels; the picture is without loss as PNG.
    assert np.abs(back.hand_mask - sample.hand_mask).max() <= 0.5 / 255 + 1e-6
    assert np.abs(back.image - sample.image).max() <= 0.5 / 255 + 1e-6
    # Shapes and types are those of the renderer's batches.
    for ours, theirs in zip(
        jax.tree.leaves(back.replace(uv_map=0)), jax.tree.leaves(sample.replace(uv_map=0)),
        strict=True,
    ):  # fmt: skip
        assert np.shape(ours) == np.shape(theirs)
        assert np.isscalar(ours) or ours.dtype == theirs.dtype


def test_jpeg_keeps_the_picture_roughly(sample):
    stored = encode_sample(sample, to_bytes(sample.image), image_format="jpeg", quality=95)
    back = decode_sample(decoded(stored), build_tables(load_hand().atlas, 2))
    assert np.abs(back.image - sample.image).mean() < 0.02


def test_no_jpeg_sample_is_larger_than_promised(sample):
    # White noise is what JPEG can do least about: at quality 95 this would take 130 KB.
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    mask = np.random.default_rng(1).random((256, 256)) > 0.99
    stored = encode_sample(sample.replace(hand_mask=mask), noise, image_format="jpeg", quality=95)
    total = sum(len(np.asarray(v).tobytes()) for v in stored.values())
    assert 0.8 * MAX_SAMPLE_BYTES < total < MAX_SAMPLE_BYTES


def test_quantisation_of_points_by_hand():
    points = np.array([[0.0, 1.0, 5.0], [0.3, 1.0, 5.0], [0.15, 1.0, 5.0]], np.float32)
    low, step, steps = quantise(points)
    np.testing.assert_array_equal(low, points[0])
    assert step[0] == pytest.approx(0.3 / 65535)
    assert step[1] == 0  # all on one plane
    assert steps[:2, 0].tolist() == [0, 65535] and steps[2, 0] in (32767, 32768)
    assert np.abs(dequantise(steps, low, step) - points).max() < 3e-6


def test_samples_of_another_hand_and_unknown_formats(sample):
    image = to_bytes(sample.image)
    with pytest.raises(ValueError, match="image_format: expected one of"):
        encode_sample(sample, image, image_format="gif", quality=95)
    stored = encode_sample(
        sample.replace(vertices=sample.vertices[:100]), image, image_format="png", quality=95
    )
    with pytest.raises(ValueError, match="a hand of 100 vertices, the atlas one of 1609"):
        decode_sample(decoded(stored), build_tables(load_hand().atlas, 2))
