"""JPEG's losses against Pillow (libjpeg), and against what the format promises."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from i2uv_jax.render.jpeg import compress_jpeg

SIZE = 48


def photo_like(seed: int = 0) -> np.ndarray:
    """Smooth colours with texture and an edge, 8-bit values in 0 to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    picture = np.stack([x, y, 0.5 + 0.4 * np.sin(9 * x * y)], axis=-1)
    picture += 0.08 * rng.normal(size=(SIZE, SIZE, 1)) + 0.3 * (x + y > 1.1)[..., None]
    return (np.round(255 * np.clip(picture, 0, 1)) / 255).astype(np.float32)


def through_pillow(image: np.ndarray, quality: int, halve_chroma: bool) -> np.ndarray:
    file = io.BytesIO()
    pixels = np.round(255 * image).astype(np.uint8)
    Image.fromarray(pixels).save(
        file, "JPEG", quality=quality, subsampling="4:2:0" if halve_chroma else "4:4:4"
    )
    return np.asarray(Image.open(file), np.float32) / 255


compress_half = jax.jit(compress_jpeg)
compress_full = jax.jit(lambda image, quality: compress_jpeg(image, quality, halve_chroma=False))


@pytest.mark.parametrize("quality", [20.0, 50.0, 90.0])
def test_agrees_with_pillow_at_full_chroma(quality):
    image = photo_like()
    theirs = through_pillow(image, int(quality), halve_chroma=False)
    difference = np.abs(compress_full(image, quality) - theirs).mean()
    # libjpeg rounds to whole levels between its steps, which tips a few of this noisy picture's
    # coefficients to the next multiple: up to 2.1 levels on average.
    assert 255 * difference < 2.5
    assert difference < 0.5 * np.abs(theirs - image).mean()


def test_agrees_with_pillow_closely_where_nothing_tips():
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    image = np.stack([x, y, 0.5 + 0.4 * np.sin(9 * x * y)], axis=-1).astype(np.float32)
    difference = np.abs(compress_full(image, 50.0) - through_pillow(image, 50, halve_chroma=False))
    assert 255 * difference.mean() < 1
    assert 255 * np.quantile(difference, 0.99) < 4


def test_agrees_with_pillow_at_half_chroma():
    image = photo_like()
    theirs = through_pillow(image, 50, halve_chroma=True)
    # Pillow interpolates chroma where we repeat it, so edges between colours differ.
    assert 255 * np.abs(compress_half(image, 50.0) - theirs).mean() < 4


def test_best_quality_keeps_the_picture():
    image = photo_like()
    kept = compress_full(image, 100.0)
    assert 255 * np.abs(kept - image).max() < 2.5
    errors = [np.abs(compress_half(image, q) - image).mean() for q in (10.0, 40.0, 80.0)]
    assert errors[0] > errors[1] > errors[2]


def test_quality_may_be_traced_and_batched():
    images = np.stack([photo_like(0), photo_like(1)])
    together = jax.jit(jax.vmap(compress_jpeg))(images, np.float32([30, 70]))
    for image, quality, one in zip(images, (30.0, 70.0), together, strict=True):
        # A coefficient half-way between two steps may round either way under another order of sums.
        assert np.abs(one - compress_half(image, quality)).mean() < 1e-3


def test_refuses_sides_that_blocks_do_not_fill():
    with pytest.raises(ValueError, match="multiples of 16"):
        compress_jpeg(np.zeros((24, 24, 3), np.float32), 50)
