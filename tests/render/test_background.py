"""Backgrounds: in range, one key one picture, as plain as asked, as varied as promised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import BackgroundConfig
from i2uv_jax.render.background import natural_noise, sample_background

SIZE = 48
COUNT = 24


def draw(config: BackgroundConfig, pictures=None, seed: int = 0) -> np.ndarray:
    keys = jax.random.split(jax.random.key(seed), COUNT)
    sample = jax.jit(
        jax.vmap(lambda key, pictures: sample_background(key, SIZE, config, pictures), (0, None))
    )
    return np.asarray(sample(keys, pictures))


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draw(BackgroundConfig())


def test_drawn_backgrounds_are_in_range_and_repeat(drawn):
    assert drawn.shape == (COUNT, SIZE, SIZE, 3)
    assert np.isfinite(drawn).all()
    assert drawn.min() >= 0
    assert drawn.max() <= 1 + 1e-6
    np.testing.assert_array_equal(drawn, draw(BackgroundConfig()))


def test_backgrounds_vary_in_brightness_and_detail(drawn):
    assert drawn.mean(axis=(1, 2, 3)).std() > 0.1
    detail = np.abs(np.diff(drawn, axis=2)).mean(axis=(1, 2, 3))
    assert detail.max() > 10 * detail.min()


def test_large_backgrounds_are_drawn_smaller_and_enlarged():
    sample = jax.jit(lambda key: sample_background(key, 160))
    large = sample(jax.random.key(0))
    assert large.shape == (160, 160, 3)
    assert 0 <= large.min() <= large.max() <= 1 + 1e-6


def test_no_clutter_is_one_colour():
    plain = draw(BackgroundConfig(clutter=0.0, people_share=0.0))
    np.testing.assert_array_equal(plain, np.broadcast_to(plain[:, :1, :1], plain.shape))
    assert plain[:, 0, 0].std(axis=0).min() > 0.1


def test_pictures_take_their_share():
    # Pictures of pure red, which recolouring changes in brightness only.
    red = np.zeros((3, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    for share in (0.0, 0.5, 1.0):
        backgrounds = draw(BackgroundConfig(folder_share=share, people_share=0.0), red)
        is_red = (backgrounds[..., 0] > 0.2) & (backgrounds[..., 1:] < 1e-5).all(axis=-1)
        found = is_red.all(axis=(1, 2)).mean()
        assert found == pytest.approx(share, abs=0.25 if share == 0.5 else 0)


def test_people_stand_before_their_share_of_backgrounds():
    none, some, all_of_them = (
        draw(BackgroundConfig(people_share=share)) for share in (0.0, 0.5, 1.0)
    )
    hidden = [np.abs(picture - none).max(axis=-1) > 1e-3 for picture in (some, all_of_them)]
    shown = [picture.any(axis=(1, 2)) for picture in hidden]
    # Where one stands, it is the same one, and what it leaves free is the scenery.
    np.testing.assert_array_equal(some[shown[0]], all_of_them[shown[0]])
    assert 0.2 < shown[0].mean() < 0.8
    assert shown[1].mean() > 0.8  # a few stand outside
    assert 0.1 < hidden[1].mean() < 0.6


def test_noise_has_the_spectrum_of_natural_scenes():
    """Amplitude falls about as 1 / f: by a factor of 4 from 2 to 8 cycles, within a factor of 2."""
    noise = jax.jit(jax.vmap(lambda key: natural_noise(key, 64, jnp.float32(0.0))))(
        jax.random.split(jax.random.key(0), 64)
    )
    noise = np.asarray(noise)[:, :, 0]
    assert noise.std() == pytest.approx(1, abs=0.3)
    amplitude = np.sqrt((np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0))
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(np.minimum(y, 64 - y), np.minimum(x, 64 - x))
    low, high = (amplitude[np.abs(radius - cycles) < 0.7].mean() for cycles in (2, 8))
    assert 2 < low / high < 8
