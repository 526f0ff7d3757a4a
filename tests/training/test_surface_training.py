"""SRNet by itself: it goes through the training loop, learns, and joins an AffineNet."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.config import (
    CoarseErrorConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OptimConfig,
    SRNetConfig,
    SurfacePairConfig,
    TrainConfig,
)
from i2uv_jax.config_io import with_overrides
from i2uv_jax.data.layouts.uv_maps import read_uv_maps
from i2uv_jax.data.pair_source import PairMaker, PairSource
from i2uv_jax.data.scan_pairs import scan_pairs
from i2uv_jax.data.streams import source_keys
from i2uv_jax.data.surface_pairs import spoil
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.predictor import load_model
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.joining import join_models
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.training.loop import train
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from i2uv_jax.training.surface_evaluation import build_surface_evaluation_step
from i2uv_jax.types import SurfacePairs

SIZE = 32
CONFIG = ExperimentConfig(
    name="pairs",
    model=HandNetConfig(
        affine=None,
        sr=SRNetConfig(channels=(8,), kernels=(3, 3), residual=True, detail_gain=32.0, size=SIZE),
    ),
    loss=LossConfig(stage_weights=(), final_terms=(("uv_l1", 1.0),)),
    surface_pairs=SurfacePairConfig(
        coarse=CoarseErrorConfig(
            smoothing_texels=0, drift_mm=0, shrinkage=0, noise_mm=4, noise_texels=0.5
        )
    ),
    optim=OptimConfig(peak_learning_rate=3e-3),
    train=TrainConfig(num_steps=60, batch_size=4, num_devices=1, evaluate_every=30),
)


def noisy_template(config, num_devices=1):
    """Pairs that cost nothing: the unposed hand with noise."""
    hand = load_hand()
    tables = build_tables(hand.atlas, SIZE)
    uv_map = jnp.asarray(uv_map_from_vertices(tables, 4 * hand.template + 0.3), jnp.float32)

    def sample(key, arrays, index, is_training):
        def one(key):
            pair = SurfacePairs(uv_map, uv_map, jnp.float32(250))
            return spoil(key, pair, tables.texel_mask, config.surface_pairs.coarse)

        return jax.vmap(one)(jax.random.split(key, config.train.batch_size))

    sharding = batch_sharding(make_mesh(num_devices))
    return PairSource(config, source_keys(config), sharding, PairMaker(sample))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, result) of a run on two devices, in two microbatches."""
    folder = tmp_path_factory.mktemp("pairs")
    config = with_overrides(CONFIG, ["train.num_devices=2", "train.microbatches=2"])
    return folder, train(config, folder, source=noisy_template(config, 2))


def test_it_brings_the_surface_nearer(run):
    folder, result = run
    errors = result.scores
    # The noise is drawn evenly from 0 to 4 mm an axis: 2 mm, whose mean length in space is
    # 2 sqrt(8 / pi) = 3.2 mm.
    assert 2.4 < errors["coarse_surface_mm"] < 4.0
    assert errors["surface_mm"] < 0.95 * errors["coarse_surface_mm"]
    assert errors["normal_degrees"] < errors["coarse_normal_degrees"]
    assert json.loads((folder / "evaluation.json").read_text()) == errors


def test_a_run_cut_in_half_goes_on_from_its_checkpoint(tmp_path, run):
    config = with_overrides(CONFIG, ["train.num_steps=2", "train.max_minutes=1e-9"])
    assert train(config, tmp_path, source=noisy_template(config)).steps_done == 1
    config = with_overrides(config, ["train.max_minutes=none"])
    assert train(config, tmp_path, source=noisy_template(config), resume=True).steps_done == 2


def test_the_file_is_no_model_of_pictures_until_it_is_joined(
    tmp_path, run, tiny_model_path, capsys
):
    alone, out = run[0] / "model.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(ValueError, match="an SRNet alone, which takes no pictures"):
        load_model(alone)
    assert main(["info", str(alone)]) == 0
    assert "SRNet alone, UV maps of 32 x 32" in capsys.readouterr().out
    assert main(["join", str(tiny_model_path), str(alone), "--out", str(out)]) == 0

    affine_config, affine_variables, affine_card = load_model_file(tiny_model_path)
    sr_config, sr_variables, sr_card = load_model_file(alone)
    config, variables, card = load_model_file(out)
    assert (config.affine, config.sr) == (affine_config.affine, sr_config.sr)
    assert (card["affine_net"], card["sr_net"]) == (affine_card, sr_card)
    # Both networks as they were, by name.
    for name, source in (("affine_net", affine_variables), ("sr_net", sr_variables)):
        jax.tree.map(
            np.testing.assert_array_equal, variables["params"][name], source["params"][name]
        )
    assert set(variables["params"]) == {"affine_net", "sr_net"}

    # Learned on coarse maps of another size, its corrections would be those of other texels.
    card = {**sr_card, "recipe": {"surface_pairs.coarse.texels": 8}}
    with pytest.raises(ValueError, match="the SRNet was trained on those of 8 x 8"):
        join_models(load_model_file(tiny_model_path), (sr_config, sr_variables, card))


def test_parts_that_are_not_there_cannot_be_joined(tmp_path, run, tiny_model_path, capsys):
    alone, out = str(run[0] / "model.safetensors"), str(tmp_path / "x.safetensors")
    for words, message in (
        ([alone, alone], "the first model has no AffineNet"),
        ([str(tiny_model_path), str(tiny_model_path)], "the second model has no SRNet"),
    ):
        assert main(["join", *words, "--out", out]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_errors_are_those_of_a_known_shift():
    hand = load_hand()
    tables = build_tables(hand.atlas, SIZE)
    uv_map = np.asarray(uv_map_from_vertices(tables, 4 * hand.template), np.float32)[None]
    model = build_model(CONFIG.model)
    variables = model.init(jax.random.key(0), uv_map, train=False)
    pairs = SurfacePairs(uv_map + np.float32([0.03, 0, 0.04]), uv_map, np.float32([200]))
    _, errors = build_surface_evaluation_step(model, tables)(variables, pairs)
    # 0.05 crop sides of 200 mm; a shift turns no normal. The residual form starts as the identity.
    for prefix in ("", "coarse_"):
        np.testing.assert_allclose(errors[f"{prefix}surface_mm"], 10, rtol=1e-4)
        assert float(errors[f"{prefix}normal_degrees"][0]) < 0.1


@pytest.fixture
def scans(tmp_path):
    """Five registered scans: the template and its copies of 1.1 to 1.4 times the size."""
    hand = load_hand()
    tables = build_tables(hand.atlas, SIZE)
    for index in range(5):
        uv_map = uv_map_from_vertices(tables, (1 + 0.1 * index) * hand.template)
        np.savez(tmp_path / f"{index}.npz", uv_map=np.asarray(uv_map) + 0.001, coarse_uv_map=uv_map)
    return tmp_path


def test_scans_are_seen_in_the_crop_and_the_last_is_held_out(scans):
    # Off the optical axis a shift of the depth would move the picture, too.
    overrides = [f"data.sets={scans}:1", "surface_pairs.coarse.noise_mm=0", "render.max_slant=0"]
    config = with_overrides(CONFIG, overrides)
    maker = scan_pairs(config, batch_sharding(make_mesh(1)))
    assert maker.identity["scans"] == [5]
    sample = jax.jit(maker.sample, static_argnums=3)
    longest_mm = {}
    for is_training in (True, False):
        pairs = sample(jax.random.key(0), maker.arrays, 0, is_training)
        offset_mm = np.asarray(pairs.mm_per_unit)[:, None, None, None] * (
            np.asarray(pairs.uv_map) - np.asarray(pairs.coarse_uv_map)
        )
        # Fine maps lie 1 mm along each axis off the coarse ones, in the hand's frame. What is
        # nearer to the camera than the wrist, which may be 0.22 m away, is larger.
        np.testing.assert_allclose(
            np.median(np.linalg.norm(offset_mm, axis=-1)), np.sqrt(3), rtol=0.4
        )
        points = np.asarray(pairs.coarse_uv_map).reshape(len(pairs.uv_map), -1, 3)
        extent = np.ptp(points[..., :2], axis=1).max(axis=-1)
        assert ((extent > 0.3) & (extent < 1.0)).all()
        span = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
        longest_mm[is_training] = float(np.max(span * np.asarray(pairs.mm_per_unit)))
    # The largest one is kept for evaluation.
    assert longest_mm[False] > longest_mm[True]


def test_all_scans_that_are_held_out_are_shown_in_turn(tmp_path):
    # Of 25 scans the last five, whose relief is 1, 3, 9, 27 and 81 mm high.
    hand = load_hand()
    coarse = np.asarray(uv_map_from_vertices(build_tables(hand.atlas, SIZE), hand.template))
    for index in range(25):
        fine = coarse + 1e-3 * 3.0 ** (index % 5)
        np.savez(tmp_path / f"{index:02d}.npz", uv_map=fine, coarse_uv_map=coarse)
    overrides = [f"data.sets={tmp_path}:1", "surface_pairs.coarse.noise_mm=0"]
    overrides += ["train.batch_size=2", "evaluation.num_images=6", "render.max_slant=0"]
    config, sharding = with_overrides(CONFIG, overrides), batch_sharding(make_mesh(1))
    source = PairSource(config, source_keys(config), sharding, scan_pairs(config, sharding))
    heights = []
    for pairs in source.evaluation_batches():
        relief = np.asarray(pairs.uv_map - pairs.coarse_uv_map)
        height = np.median(np.linalg.norm(relief, axis=-1), axis=(1, 2))
        heights.extend(height * np.asarray(pairs.mm_per_unit))
    # Perspective makes what is near larger: powers of 3 are told apart all the same.
    shown = np.round(np.log(np.array(heights) / np.sqrt(3)) / np.log(3))
    assert shown.tolist() == [0, 1, 2, 3, 4, 0]


def test_too_few_scans_are_one_line(scans):
    for index in range(1, 5):
        (scans / f"{index}.npz").unlink()
    config = replace(CONFIG, data=replace(CONFIG.data, sets=((str(scans), 1.0),)))
    with pytest.raises(ValueError, match=r"too few scans \(1\)"):
        scan_pairs(config, batch_sharding(make_mesh(1)))
    assert len(read_uv_maps(scans / "0.npz", load_hand().atlas.fingerprint).uv_map) == SIZE
