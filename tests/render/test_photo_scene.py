"""Scenes of cut-outs that are made by hand: labels, mirrors, and what is seen of whom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import SceneConfig, SensorConfig
from i2uv_jax.render.cutouts import NUM_DIRECTIONS, Cutouts, bounding_box, look_up
from i2uv_jax.render.photo_scene import ScenePool, mirror_scenes, sample_scenes

SIZE = 32
LEVELS = (32, 16, 8)
ANGLES = 2 * np.pi * np.arange(NUM_DIRECTIONS) / NUM_DIRECTIONS


def disc_cutouts(colours) -> Cutouts:
    """Discs of radius 0.25 in the middle, one a colour; all of each is hand."""
    rows = []
    for colour in colours:
        levels = []
        for size in LEVELS:
            axis = (np.arange(size) + 0.5) / size - 0.5
            inside = np.hypot(*np.meshgrid(axis, axis)) < 0.25
            channels = [*(inside * value for value in colour), 255 * inside, 255 * inside]
            levels.append(np.stack(channels, axis=-1).reshape(-1, 5))
        rows.append(np.concatenate(levels))
    count = len(colours)
    # Keypoints lie where the extents are taken, so a turned box is exactly theirs.
    circle = 0.5 + 0.25 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)[:21]
    return Cutouts(
        pixels=jnp.asarray(np.stack(rows).astype(np.uint8)),
        extents=jnp.full((count, NUM_DIRECTIONS), 0.25),
        keypoints=jnp.asarray(np.tile(circle, (count, 1, 1)), jnp.float32),
        hand_area=jnp.full(count, np.pi * 0.25**2),
        outward=jnp.tile(jnp.array([0.0, 1.0]), (count, 1)),
        size=SIZE,
    )


@pytest.fixture(scope="module")
def draw():
    """Scenes of red discs before black; `bystanders` are green ones."""
    pool = ScenePool(
        things=disc_cutouts([(255, 0, 0), (0, 255, 0)]),
        backgrounds=jnp.zeros((1, 64, 64, 3), jnp.uint8),
        num_hands=1,
    )
    config = SceneConfig(bar_share=0.5, bystander_share=0.3, close_share=0.3)
    compiled = jax.jit(lambda key: sample_scenes(key, pool, config, SensorConfig(strength=0.0), 32))
    return lambda seed: jax.device_get(compiled(jax.random.key(seed)))


def test_labels_agree_with_what_is_drawn(draw):
    scenes = draw(0)
    shown = np.argwhere(scenes.is_shown)
    assert len(shown) > 10
    for picture, place in shown:
        centre, side = scenes.centre[picture, place], scenes.side[picture, place]
        away = np.abs(scenes.keypoints_2d[picture, place] - centre)
        assert away.max() == pytest.approx(side / 2, rel=1e-3)  # in the box, and reaching its edge
        assert ((centre > 0) & (centre < 1)).all()
    # A lone red disc: its pixels' middle and area are those of its box.
    lone = [
        p for p in range(32) if scenes.is_shown[p].sum() == 1 and not scenes.is_doubtful[p].any()
    ]
    checked = 0
    for picture in lone:
        (place,) = np.flatnonzero(scenes.is_shown[picture])
        centre, side = scenes.centre[picture, place], scenes.side[picture, place]
        red = scenes.image[picture, :, :, 0] > 0.3
        red &= scenes.image[picture, :, :, 1] < 0.2
        grey = np.isclose(scenes.image[picture], 127 / 255).all(axis=-1)
        others = scenes.image[picture, :, :, 1] > 0.3
        inside = (np.abs(centre - 0.5) + side / 2 < 0.5).all()
        if not inside or grey.any() or others.any() or side < 0.15:
            continue
        rows, columns = np.nonzero(red)
        np.testing.assert_allclose(
            [(columns + 0.5).mean() / 64, (rows + 0.5).mean() / 64], centre, atol=0.02
        )
        np.testing.assert_allclose(red.mean(), np.pi * side**2 / 4, rtol=0.15)
        checked += 1
    assert checked


def test_a_key_decides_everything(draw):
    first, again, other = draw(3), draw(3), draw(4)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.image, other.image)


def test_a_mirror_swaps_sides_and_columns(draw):
    scenes = draw(5)
    mirrored = jax.device_get(mirror_scenes(scenes))
    np.testing.assert_array_equal(mirrored.image, scenes.image[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.is_left, ~scenes.is_left)
    np.testing.assert_allclose(mirrored.centre[..., 0], 1 - scenes.centre[..., 0], atol=1e-6)
    np.testing.assert_array_equal(mirrored.side, scenes.side)
    twice = jax.device_get(mirror_scenes(mirrored))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), twice, scenes)


@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_of_turned_hands_are_those_of_their_turned_points(mirrored):
    points = np.random.default_rng(0).normal(size=(50, 2))
    directions = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    extents = jnp.asarray((points @ directions.T).max(axis=0))
    for turn in (0, 1, 7, 19):
        angle = ANGLES[turn]
        turned = points * [-1 if mirrored else 1, 1]
        turned = turned @ np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        expected = [*turned.min(axis=0), *turned.max(axis=0)]
        found = bounding_box(extents, jnp.array(turn), jnp.array(mirrored))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_touches_the_edge_goes_on_along_its_direction():
    # A bar that leaves the square downwards, half as wide as it.
    level = [np.zeros((size, size, 5)) for size in LEVELS]
    for pixels in level:
        size = len(pixels)
        pixels[size // 2 :, size // 4 : 3 * size // 4] = 255
    cutouts = disc_cutouts([(255, 0, 0)]).replace(
        pixels=jnp.asarray(np.concatenate([p.reshape(-1, 5) for p in level])[None], jnp.uint8)
    )
    points = jnp.array([[0.5, 0.9], [0.5, 1.5], [0.1, 1.5], [0.5, 3.5], [0.5, -0.5], [1.5, 0.9]])
    found = look_up(cutouts, jnp.array(0), points, jnp.array(1.0), jnp.array(2.0))
    np.testing.assert_allclose(found[:, 3], [1, 1, 0, 0, 0, 0])
