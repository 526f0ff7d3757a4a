"""A rendered batch: labels agree with pixels and with each other; one key, one batch."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from PIL import Image

from i2uv_jax.config import (
    BackgroundConfig,
    OcclusionConfig,
    RenderConfig,
    SensorConfig,
    plain_looks,
)
from i2uv_jax.geometry.camera import from_crop_space, project
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render import scene
from i2uv_jax.render.assets import load_render_assets
from i2uv_jax.render.plain import is_plain
from i2uv_jax.render.scene import sample_batch

CONFIG = plain_looks(
    RenderConfig(
        image_size=64,
        uv_map_size=256,
        supersampling=1,
        # Nothing before the hand, so that its mask holds all of it.
        occlusion=OcclusionConfig(front_share=0, grasp_share=0, limb_share=0),
    )
)
"""Geometry and labels are the same as with real looks, and this compiles sooner."""


def compiled(config, batch_size=4, **options):
    """The renderer of some pictures, a function of a key."""
    render = partial(
        sample_batch, hand=load_hand(), config=config, batch_size=batch_size, **options
    )
    jitted = jax.jit(render, out_shardings=options.get("sharding"))
    return jitted.lower(jax.random.key(0)).compile()


@pytest.fixture(scope="module")
def render():
    return compiled(CONFIG)


@pytest.fixture(scope="module")
def batch(render):
    return jax.device_get(render(jax.random.key(0)))


def test_same_key_same_pixels_other_key_other_pixels(render, batch):
    again = render(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, again, batch)
    assert np.abs(render(jax.random.key(1)).image - batch.image).mean() > 0.05


@pytest.mark.slow
def test_devices_render_the_same_pictures_each_its_own(render, batch):
    sharding = NamedSharding(Mesh(np.array(jax.devices()[:2]), "batch"), PartitionSpec("batch"))
    shared = compiled(CONFIG, sharding=sharding)
    pictures = shared(jax.random.key(0))
    assert len(pictures.image.addressable_shards) == 2
    np.testing.assert_allclose(pictures.image, batch.image, atol=1e-3)
    np.testing.assert_allclose(pictures.vertices, batch.vertices, atol=1e-5)
    # A device works as much as for a batch of two, by the compiler's count, which takes a loop over
    # pictures for one turn of it.
    work, whole, half = (
        program.cost_analysis()["flops"] for program in (shared, render, compiled(CONFIG, 2))
    )
    assert work == pytest.approx(half, rel=0.05)
    assert half < 0.9 * whole


def test_values_are_finite_and_in_range(batch):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(batch))
    assert batch.image.min() >= 0
    assert batch.image.max() <= 1
    assert set(np.unique(batch.hand_mask)) <= {0.0, 1.0}


def test_vertices_project_into_the_mask(batch):
    # Every vertex is hidden by, or part of, the hand's or the forearm's silhouette, so the mask
    # covers nearly all projections of visible ones; the forearm can hide some of them.
    points = np.asarray(project(batch.camera, batch.vertices)) * CONFIG.image_size
    for mask, one in zip(batch.hand_mask, points, strict=True):
        inside = (one >= 0).all(axis=1) & (one < CONFIG.image_size).all(axis=1)
        columns, rows = np.floor(one[inside]).astype(int).T
        grown = np.max(
            [np.roll(mask, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0
        )
        assert grown[rows, columns].mean() > 0.9


def test_uv_map_holds_the_same_hand_as_the_vertices(batch):
    tables = build_tables(load_hand().atlas, CONFIG.uv_map_size)
    crop = vertices_from_uv_map(tables, batch.uv_map)
    vertices = from_crop_space(batch.camera, crop, batch.keypoints[:, 0, 2])
    assert np.linalg.norm(vertices - batch.vertices, axis=-1).max() < 0.5e-3


def test_occluders_hide_hands_and_folders_stand_behind_them(tmp_path, batch):
    """One render with everything on: things in front, and a folder of one green picture."""
    Image.new("RGB", (40, 40), (0, 200, 0)).save(tmp_path / "green.png")
    config = RenderConfig(
        image_size=32,
        uv_map_size=32,
        supersampling=1,
        background=BackgroundConfig(folder=str(tmp_path), folder_share=1.0),
        occlusion=OcclusionConfig(front_share=1.0, grasp_share=1.0, limb_share=1.0),
        sensor=SensorConfig(strength=0),
    )
    render = compiled(config)
    hidden = jax.device_get(render(jax.random.key(0)))
    jax.tree.map(np.testing.assert_array_equal, render(jax.random.key(0)), hidden)
    assert np.isfinite(hidden.image).all()
    # The same hands as without occluders, less of each to be seen.
    np.testing.assert_allclose(hidden.vertices, batch.vertices, atol=1e-5)
    assert (hidden.hand_mask.mean(axis=(1, 2)) < batch.hand_mask.mean(axis=(1, 2))).all()
    is_green = (hidden.image[..., 1] > 0.3) & (hidden.image[..., [0, 2]] < 0.01).all(axis=-1)
    assert is_green.mean() > 0.2
    assert not (is_green & (hidden.hand_mask > 0)).any()


PLAIN = plain_looks(RenderConfig(image_size=64, uv_map_size=32, supersampling=1))


def test_all_strengths_zero_take_the_plain_path(monkeypatch):
    def draw(*_):
        raise AssertionError("the plain renderer needs none of this")

    monkeypatch.setattr(scene, "_draw", draw)
    # Tracing is enough to see which path is taken.
    jax.eval_shape(lambda key: sample_batch(key, load_hand(), PLAIN, 1), jax.random.key(0))
    assert load_render_assets(PLAIN, load_hand()).skins is None


@pytest.mark.parametrize(
    "change",
    [
        {"skin": replace(PLAIN.skin, relief=0.5)},
        {"light": replace(PLAIN.light, shadows=1.0)},
        {"forearm": replace(PLAIN.forearm, share=0.9)},
        {"skin": replace(PLAIN.skin, folder="skins", photo_share=0.5)},
    ],
)
def test_any_strength_above_zero_leaves_the_plain_path(change):
    assert not is_plain(replace(PLAIN, **change))
