"""Pictures without a right hand beside a batch: which they are, and what the losses make of them.

On a network without batch norm, which would let the maps' losses hear of the other pictures.
"""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import HandNetConfig, LossConfig
from i2uv_jax.config_io import with_overrides
from i2uv_jax.data.extended import ExtendedSource
from i2uv_jax.data.handless import handless_extension
from i2uv_jax.data.streams import source_keys
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.losses import confidence_loss, presence_loss
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training import program
from i2uv_jax.training import state as state_module
from i2uv_jax.training.gradient import build_gradient
from i2uv_jax.training.hand_evaluation import build_evaluation_step
from i2uv_jax.training.negatives import (
    build_network_inputs,
    build_presence_loss,
    count_handless,
    count_negatives,
)
from i2uv_jax.training.sharding import batch_sharding, make_mesh, replicated
from i2uv_jax.types import Batch

ONE = make_mesh(1)


class TellingNet(nn.Module):
    """A convolution for the map; for presence weights of its own on the mean of each half."""

    config: HandNetConfig | None = None
    by_picture = False

    @nn.compact
    def __call__(self, image, keypoints=None, *, train, super_resolve=True):
        halves = jnp.stack(jnp.split(image.mean(axis=(1, 3)), 2, axis=-1), axis=-1).mean(axis=1)
        logit = nn.Dense(1, name="presence")(halves)[:, 0]
        uv_map = nn.Conv(3, (3, 3), name="map")(nn.avg_pool(image, (4, 4), strides=(4, 4)))
        return HandNetOutput(
            stage_uv_maps=(uv_map,),
            uv_map=uv_map,
            presence_logit=logit,
            log_error=jax.lax.stop_gradient(image.mean(axis=3)[:, ::4, ::4]),
        )


def squared_error(output, batch):
    loss = jnp.mean((output.uv_map - batch.uv_map) ** 2)
    return loss, {"total": loss}


def pictures(count, num_handless=0):
    """A batch of noise; what tells nothing here is left out."""
    keys = jax.random.split(jax.random.key(count), 3)
    image, handless = (
        jax.random.uniform(key, (n, 8, 8, 3))
        for key, n in zip(keys[:2], (count, num_handless), strict=True)
    )
    return Batch(
        image=image,
        uv_map=jax.random.uniform(keys[2], (count, 2, 2, 3)),
        vertices=None, keypoints=None, hand_mask=None, keypoint_visible=None, camera=None,
        handless=handless if num_handless else None,
    )  # fmt: skip


def test_shares_become_whole_pictures():
    assert count_negatives(0.25, 64) == (11, 5)
    assert count_negatives(0.25, 16) == (3, 1)
    # Never none, and a single one shows a left hand.
    assert count_negatives(0.25, 2) == (1, 0)


def test_every_part_of_a_batch_gets_its_handless_pictures(sheet_config):
    config = replace(sheet_config.train, batch_size=64, microbatches=2)
    assert count_handless(0.25, config, num_devices=2) == 2 * 2 * 1
    assert count_handless(0.25, config, num_devices=1) == 2 * 3


def test_presence_loss_by_hand():
    # ln(1 + exp(-0)) = ln 2 and ln(1 + 1/3) for the hands; ln(1 + 1/3) for what is none.
    loss = presence_loss(jnp.log(jnp.array([1.0, 3.0])), -jnp.log(jnp.array([3.0])))
    expected = ((np.log(2) + np.log(4 / 3)) / 2 + np.log(4 / 3)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_pictures_come_first_then_mirror_images_then_handless_ones():
    batch = pictures(8, num_handless=2)
    (shown,) = build_network_inputs(0.5, ONE)(batch)
    mirrored = batch.image[jnp.array([0, 2, 5]), :, ::-1]
    np.testing.assert_array_equal(shown, jnp.concatenate([batch.image, mirrored, batch.handless]))


def test_told_keypoints_go_with_their_pictures():
    told = jax.random.uniform(jax.random.key(3), (8, 21, 3)).at[2, 4].set(jnp.nan)
    batch = pictures(8, num_handless=2).replace(told_keypoints=told)
    shown, keypoints = build_network_inputs(0.5, ONE)(batch)
    assert len(shown) == len(keypoints) == 8 + 3 + 2
    mirrored = told[jnp.array([0, 2, 5])] * jnp.array([-1, 1, 1]) + jnp.array([1, 0, 0])
    np.testing.assert_allclose(keypoints, jnp.concatenate([told, mirrored, told[:2]]), atol=1e-7)


def test_each_device_gets_the_negatives_of_its_own_pictures():
    mesh = make_mesh(2)
    batch = pictures(8, num_handless=2)
    (shown,) = jax.jit(build_network_inputs(0.5, mesh))(jax.device_put(batch, batch_sharding(mesh)))
    parts = [jax.tree.map(lambda leaf, i=i: jnp.split(leaf, 2)[i], batch) for i in range(2)]
    for part, shard in zip(parts, shown.addressable_shards, strict=True):
        mirrored = part.image[:1, :, ::-1]
        expected = jnp.concatenate([part.image, mirrored, part.handless])
        np.testing.assert_array_equal(shard.data, expected)


def gradient_with(mesh, batch, *, weight=3.0, microbatches=1):
    gradient_of = build_gradient(
        TellingNet(),
        build_presence_loss(squared_error, weight, mesh),
        network_inputs=build_network_inputs(0.5, mesh),
        num_microbatches=microbatches,
        mesh=mesh,
    )
    params = jax.device_put(first_params(), replicated(mesh))
    return jax.jit(gradient_of)(params, {}, jax.device_put(batch, batch_sharding(mesh)))[:2]


def first_params():
    variables = TellingNet().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
    return variables["params"]


def test_losses_of_maps_hear_nothing_of_negatives():
    batch = pictures(8, num_handless=2)
    gradient, terms = gradient_with(ONE, batch)
    plain, plain_terms, _ = build_gradient(TellingNet(), squared_error)(first_params(), {}, batch)
    np.testing.assert_allclose(gradient["map"]["kernel"], plain["map"]["kernel"], rtol=1e-5)
    np.testing.assert_allclose(
        terms["total"], plain_terms["total"] + 3.0 * terms["presence"], rtol=1e-6
    )
    assert np.abs(gradient["presence"]["kernel"]).min() > 0 == plain["presence"]["kernel"].max()


@pytest.mark.parametrize("devices", [1, 2])
def test_errors_of_negatives_are_none(devices):
    def loss(output, batch):
        total = confidence_loss(
            output.log_error, output.uv_map, batch.uv_map, jnp.ones((2, 2), bool)
        )
        return total, {"confidence": total, "total": total}

    batch, mesh = pictures(8, num_handless=2), make_mesh(devices)
    output = TellingNet().apply({"params": first_params()}, batch.image, train=True)
    expected, _ = loss(output, batch)
    (shown,) = build_network_inputs(0.5, mesh)(jax.device_put(batch, batch_sharding(mesh)))
    output = TellingNet().apply({"params": first_params()}, shown, train=True)
    _, terms = build_presence_loss(loss, 1.0, mesh)(output, batch)
    np.testing.assert_allclose(terms["confidence"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("devices", "microbatches"), [(2, 1), (1, 2), (2, 2)], ids=lambda value: str(value)
)
def test_layouts_that_take_the_same_negatives_have_the_same_gradient(devices, microbatches):
    # All pictures are alike: whichever each part of the batch mirrors, it is the same.
    parts = devices * microbatches
    batch = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], 4 * parts, axis=0), pictures(4))
    found = gradient_with(make_mesh(devices), batch, microbatches=microbatches)
    expected = gradient_with(ONE, jax.tree.map(lambda leaf: leaf[:4], batch))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


class Sided:
    """A model that takes the brightness of the right half less the left one's for presence."""

    def __init__(self, config, uv_map):
        self.config, self.uv_map = config, uv_map

    def apply(self, variables, image, keypoints=None, *, train, super_resolve=True):
        left, right = jnp.split(image.mean(axis=(1, 3)), 2, axis=-1)
        uv_map = jnp.broadcast_to(self.uv_map[:1], (len(image), *self.uv_map.shape[1:]))
        logit = right.mean(axis=-1) - left.mean(axis=-1)
        return HandNetOutput(stage_uv_maps=(), uv_map=uv_map, presence_logit=logit)


def test_pictures_are_measured_against_their_mirror_images(sheet_source, sheet_config):
    config = telling(sheet_config)
    source = sheet_source(config)
    batch = source.training_batch(0)
    ramp = jnp.linspace(0, 1, 32)[None, None, :, None]
    # Three of four get brighter to the right.
    image = jnp.concatenate([jnp.repeat(ramp, 3, axis=0), ramp[:, :, ::-1]])
    batch = batch.replace(image=jnp.broadcast_to(image, batch.image.shape))
    step = build_evaluation_step(
        Sided(config.model, batch.uv_map),
        build_tables(source.atlas, config.model.uv_map_size),
        source.keypoint_regressor,
    )
    uv_map, rows = step({}, batch)
    assert uv_map.shape == batch.uv_map.shape and rows["vertex_mm"].shape == (4,)
    np.testing.assert_array_equal(rows["side_accuracy"], [1, 1, 1, 0])
    difference = float(ramp[:, :, 16:].mean() - ramp[:, :, :16].mean())
    likely = 1 / (1 + np.exp(-difference * np.array([1, 1, 1, -1])))
    np.testing.assert_allclose(rows["presence_right"], likely, rtol=1e-5)
    np.testing.assert_allclose(rows["presence_left"], 1 - likely, rtol=1e-5)
    assert "presence_handless" not in rows
    _, rows = step({}, batch.replace(handless=jnp.ones((2, 32, 32, 3))))
    np.testing.assert_array_equal(rows["presence_handless"], [0.5, 0.5])


def telling(config, *overrides):
    """A config whose model tells presence and is trained for it."""
    return with_overrides(
        config,
        [
            "model.affine.decoder_channels=16,8,8",
            "model.affine.coarse_to_fine=true",
            "model.affine.presence=true",
            "loss.presence_weight=1",
            *overrides,
        ],
    )


def test_other_sources_get_handless_pictures(sheet_source, sheet_config):
    # Of one colour and without a camera, which compiles soon.
    plain = ["render.background.clutter=0", "render.sensor.strength=0"]
    config = telling(sheet_config, *plain)
    inner = sheet_source(config)
    pictures = replace(config.render, image_size=32)
    extend = handless_extension(pictures, batch_sharding(make_mesh(2)), 2)
    source = ExtendedSource(inner, extend, source_keys(config))
    batch = source.training_batch(1)
    assert batch.handless.shape == (2, 32, 32, 3)
    assert 0 <= float(batch.handless.min()) < float(batch.handless.max()) <= 1
    np.testing.assert_array_equal(batch.image, inner.training_batch(1).image)
    np.testing.assert_array_equal(batch.handless, source.training_batch(1).handless)
    (evaluation,) = source.evaluation_batches()
    assert np.abs(evaluation.handless - batch.handless).mean() > 0.01
    assert source.state(3) == inner.state(3)


def test_a_run_trains_and_reports_presence(sheet_source, sheet_config, monkeypatch):
    config = telling(
        sheet_config, "train.num_devices=2", "train.batch_size=8", "train.microbatches=2",
        "train.ema_decay=none",
    )  # fmt: skip
    config = replace(config, loss=replace(LossConfig(presence_weight=1.0), stage_terms=()))
    for module in (program, state_module):
        monkeypatch.setattr(module, "build_network", lambda config, **_: TellingNet(config))
    made = program.build_program(config, sheet_source(config))
    state = made.first_state()
    state, metrics = made.train_step(state, made.source.training_batch(0))
    np.testing.assert_allclose(metrics["loss/presence"], np.log(2), atol=0.5)
    _, rows = made.evaluation_step({"params": state.params}, made.source.training_batch(0))
    assert rows["side_accuracy"].shape == (8,)
