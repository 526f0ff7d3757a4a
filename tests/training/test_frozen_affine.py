"""Pairs of a frozen AffineNet: its own maps of rendered hands, beside those very hands."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from i2uv_jax.config import (
    ExperimentConfig,
    HandNetConfig,
    OcclusionConfig,
    RenderConfig,
    SRNetConfig,
    SurfacePairConfig,
    TrainConfig,
    plain_looks,
)
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.render.assets import load_render_assets
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.training.frozen_affine import frozen_affine_pairs
from i2uv_jax.training.sharding import batch_sharding, make_mesh

SIZE = 16
RENDER = plain_looks(RenderConfig(supersampling=1, occlusion=OcclusionConfig(0, 0, 0, 0.2)))


@pytest.mark.slow
def test_coarse_maps_are_the_network_s_and_true_ones_the_shown_hands(tiny_model_path):
    config = ExperimentConfig(
        name="frozen",
        model=HandNetConfig(affine=None, sr=SRNetConfig(size=SIZE)),
        render=RENDER,
        surface_pairs=SurfacePairConfig(affine=str(tiny_model_path)),
        train=TrainConfig(batch_size=2, num_devices=1),
    )
    maker = frozen_affine_pairs(config, batch_sharding(make_mesh(1)))
    key = jax.random.key(3)
    pairs = jax.jit(maker.sample, static_argnums=3)(key, maker.arrays, 0, True)

    hand = load_hand()
    view = replace(RENDER, image_size=64, uv_map_size=SIZE)
    model_config, variables, _ = load_model_file(tiny_model_path)
    model = build_model(model_config)

    @jax.jit
    def shown(key, assets, variables):
        batch = sample_batch(key, hand, view, 2, assets)
        return batch, model.apply(variables, batch.image, train=False).uv_map

    batch, coarse = shown(key, load_render_assets(view, hand), variables)
    assert coarse.shape == pairs.coarse_uv_map.shape
    np.testing.assert_allclose(pairs.coarse_uv_map, coarse, atol=1e-3)
    # The surface in detail lies within millimetres of the mesh of the same hand: 0.02 of a crop.
    mask = build_tables(hand.atlas, SIZE).texel_mask
    distance = np.linalg.norm(np.asarray(pairs.uv_map - batch.uv_map), axis=-1)[:, mask]
    assert distance.mean() < 0.02
    # The unit is what the camera says of the wrist's depth.
    wrist_mm = 1e3 * np.asarray(batch.keypoints)[:, 0, 2] / np.asarray(batch.camera.focal)
    np.testing.assert_allclose(pairs.mm_per_unit, wrist_mm, rtol=1e-4)


def test_a_model_without_an_affine_net_is_refused(tmp_path):
    from i2uv_jax.models.random_weights import random_variables
    from i2uv_jax.models.weights import save_model

    alone = HandNetConfig(affine=None, sr=SRNetConfig(channels=(4,), kernels=(3, 3), size=SIZE))
    path = tmp_path / "alone.safetensors"
    save_model(path, alone, random_variables(alone), {})
    pairs = SurfacePairConfig(affine=str(path))
    config = ExperimentConfig(name="frozen", model=alone, surface_pairs=pairs)
    with pytest.raises(ValueError, match="an SRNet alone, which takes no pictures"):
        frozen_affine_pairs(config, batch_sharding(make_mesh(1)))
