"""Tones on the Monk scale that go with rendered pictures."""

import jax
import numpy as np
import pytest
from scipy.stats import spearmanr

from i2uv_jax.config import (
    ForearmConfig,
    LightConfig,
    OcclusionConfig,
    RenderConfig,
    SensorConfig,
    SkinConfig,
    plain_looks,
)
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.hand.asset import load_hand

CONFIG = RenderConfig(
    image_size=32,
    uv_map_size=2,
    supersampling=1,
    skin=SkinConfig(texture_size=32),
    light=LightConfig(exposure=0.0),
    forearm=ForearmConfig(share=0.0),
    occlusion=OcclusionConfig(front_share=0, grasp_share=0, limb_share=0, truncation_share=0),
    sensor=SensorConfig(strength=0.0),
)


def test_each_picture_has_one_whatever_the_count():
    generator = HandGenerator(CONFIG, load_hand(), batch_size=4)
    tones = generator.monk_tones(jax.random.key(0), 8)
    assert tones.shape == (8,) and set(tones) <= set(range(1, 11))
    np.testing.assert_array_equal(generator.monk_tones(jax.random.key(0), 5), tones[:5])
    assert len(set(generator.monk_tones(jax.random.key(1), 8))) > 2


def test_the_plain_renderer_knows_none():
    generator = HandGenerator(plain_looks(CONFIG), load_hand(), batch_size=4)
    assert generator.monk_tones(jax.random.key(0), 4) is None


@pytest.mark.slow
def test_darker_tones_are_darker_in_the_pictures():
    generator = HandGenerator(CONFIG, load_hand(), batch_size=16)
    key = jax.random.key(0)
    brightness = []
    for batch in generator.batches(key, 48):
        luminance = batch.image @ [0.2126, 0.7152, 0.0722]
        seen = batch.hand_mask.sum(axis=(1, 2))
        brightness += list((luminance * batch.hand_mask).sum(axis=(1, 2)) / seen)
    # Light differs from picture to picture, and cameras expose dark skin for longer.
    assert spearmanr(brightness, generator.monk_tones(key, 48)).statistic < -0.6
