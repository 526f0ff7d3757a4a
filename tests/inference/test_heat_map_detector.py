"""From a photo to boxes in it: letterbox and way back, with a network made by hand."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import DetectorConfig
from i2uv_jax.inference import heat_map_detector
from i2uv_jax.inference.heat_map_detector import HeatMapDetector
from i2uv_jax.models.detector import LEFT, RIGHT, DetectorOutput

SIDE = 0.25
"""Of the box that the stand-in says, in sides of the square."""


@pytest.fixture
def detector(monkeypatch):
    """Red pixels are left hands and green ones right hands."""

    def apply(variables, image, *, train):
        cells = image.reshape(1, 24, 8, 24, 8, 3).mean(axis=(2, 4))
        warmth = jnp.where(cells - cells.min(axis=-1, keepdims=True) > 0.5, 6.0, -8.0)
        zeros = jnp.zeros((1, 24, 24, 2))
        heat = jnp.stack([warmth[..., 0], warmth[..., 1]], axis=-1)
        assert (LEFT, RIGHT) == (0, 1)
        return DetectorOutput(heat, zeros, jnp.full((1, 24, 24), jnp.log(SIDE)))

    monkeypatch.setattr(heat_map_detector, "build_detector", lambda _: SimpleNamespace(apply=apply))
    return HeatMapDetector(DetectorConfig(), {})


def test_boxes_of_a_wide_photo_lie_where_the_hands_are(detector):
    # 384 x 192 pixels in a square of 192: halved, with bars of 48 above and below. A square of 16
    # photo pixels is a cell.
    photo = np.full((192, 384, 3), 127, np.uint8)
    photo[64:80, 32:48] = (255, 0, 0)
    photo[160:176, 336:352] = (0, 255, 0)
    hands = detector(photo)
    assert {hand.handedness for hand in hands} == {"left", "right"}
    for hand, middle in zip(sorted(hands, key=lambda hand: hand.handedness),
                            ([40, 72], [344, 168]), strict=True):  # fmt: skip
        left, top, right, bottom = hand.box_xyxy
        np.testing.assert_allclose([(left + right) / 2, (top + bottom) / 2], middle, atol=0.01)
        np.testing.assert_allclose([right - left, bottom - top], 384 * SIDE, rtol=1e-4)
        assert 0.9 < hand.score <= 1


def test_an_empty_photo_gives_an_empty_list(detector):
    assert detector(np.full((50, 300, 3), 200, np.uint8)) == []
    assert detector(np.zeros((1, 1, 3), np.uint8)) == []
