"""`measure_training` times what it says, on the cheap source."""

import statistics
import time

import jax
import pytest

from i2uv_jax.config_io import with_overrides
from i2uv_jax.measuring import device_peaks
from i2uv_jax.measuring.device_peaks import Peaks
from i2uv_jax.models.complexity import model_complexity, total_complexity
from i2uv_jax.models.weights import variable_shapes
from i2uv_jax.training.benchmark import (
    TrainingSpeed,
    measure_training,
)
from i2uv_jax.training.program import build_program
from i2uv_jax.training.step_collectives import step_collectives
from i2uv_jax.training.step_memory import step_memory

WAIT_SECONDS = 0.2


class SlowSource:
    """Hands a source's batches on, each after a while."""

    def __init__(self, source):
        self._source = source

    def __getattr__(self, name):
        return getattr(self._source, name)

    def training_batch(self, step):
        time.sleep(WAIT_SECONDS)
        return self._source.training_batch(step)


def test_steps_and_waiting_for_batches_are_told_apart(sheet_config, sheet_source, monkeypatch):
    program = build_program(sheet_config, SlowSource(sheet_source(sheet_config)))
    monkeypatch.setitem(
        device_peaks.TABLE, jax.devices()[0].device_kind, Peaks({"float32": 0.5}, 1.0, "made up")
    )
    speed = measure_training(program, num_steps=3)
    assert len(speed.step_seconds) == len(speed.data_seconds) == 3
    assert min(speed.data_seconds) >= WAIT_SECONDS
    assert speed.batch_size == sheet_config.train.batch_size
    assert speed.images_per_second < speed.batch_size / WAIT_SECONDS
    # Convolutions are 2.6 MFLOP forwards, and about twice that backwards.
    assert 5e6 < speed.flops_per_image < 1e8
    assert speed.program_bytes > 1e6
    assert speed.host_bytes > 1e8
    # Three forwards of four pictures.
    flops = 3 * 4 * total_complexity(model_complexity(sheet_config.model)).flops
    possible = 0.5e12 * statistics.median(speed.step_seconds)
    assert speed.utilisation == pytest.approx(flops / possible)
    assert (speed.peak_teraflops, speed.peak_source) == (0.5, "made up")


def test_whole_pools_are_timed_where_batches_are_reused(sheet_config, sheet_source, monkeypatch):
    monkeypatch.setitem(
        device_peaks.TABLE, jax.devices()[0].device_kind, Peaks({"float32": 0.5}, 1.0, "made up")
    )
    config = with_overrides(sheet_config, ["data.reuse=2"])
    program = build_program(config, sheet_source(config))
    assert len(measure_training(program, num_steps=3).data_seconds) == 4
    assert len(measure_training(program, num_steps=5).data_seconds) == 8


def test_derived_numbers():
    speed = TrainingSpeed(
        batch_size=8,
        num_devices=1,
        compile_seconds=1.0,
        step_seconds=(0.3, 0.3, 0.9),
        data_seconds=(0.0, 0.0, 0.3),
        flops_per_image=None,
        utilisation=None,
        peak_teraflops=1.0,
        peak_source="made up",
        device_bytes=None,
        program_bytes=None,
        host_bytes=1,
    )
    assert speed.images_per_second == 8 / 0.4
    assert abs(speed.data_wait_share - 0.3 / 1.8) < 1e-9


@pytest.mark.slow
def test_devices_send_each_other_gradients_and_little_else(sheet_config, sheet_source):
    # At the published network's sizes features would be a hundred times the gradients.
    config = with_overrides(sheet_config, ["train.num_devices=2", "train.batch_size=64"])
    (reduced,) = step_collectives(config, sheet_source(config))
    assert reduced.kind == "all-reduce"
    shapes = jax.tree.leaves(variable_shapes(config.model)["params"])
    gradient_bytes = 4 * sum(leaf.size for leaf in shapes)
    assert gradient_bytes < reduced.num_bytes < 1.2 * gradient_bytes


def test_memory_is_counted_by_what_needs_it(sheet_config, sheet_source):
    def memory(*overrides):
        config = with_overrides(sheet_config, overrides)
        return step_memory(config, sheet_source(config))

    whole = memory("train.batch_size=8")
    shapes = variable_shapes(sheet_config.model)
    params, stats = (
        4 * sum(leaf.size for leaf in jax.tree.leaves(shapes[kind]))
        for kind in ("params", "batch_stats")
    )
    assert (whole.parameters, whole.average) == (params + stats, params + stats)
    # Adam keeps two moments and counts steps.
    assert 0 <= whole.optimizer - 2 * params <= 16
    assert whole.gradient == params
    assert whole.microbatch_size == 8
    # A picture of 32 x 32 and its map of 8 x 8 are kept twice, with vertices and keypoints.
    assert whole.batch > 2 * 8 * 4 * 3 * (32**2 + 8**2)

    parted = memory("train.batch_size=8", "train.microbatches=4")
    assert parted.activations == pytest.approx(whole.activations / 4, rel=0.01)
    assert parted.gradient == 2 * params

    larger = memory("model.image_size=64")
    assert larger.activations_per_image == pytest.approx(4 * whole.activations_per_image, rel=0.1)
    # Four more show no right hand: three mirror images, and one that the sheet's source lacks.
    coarse_to_fine = ("train.batch_size=8", "model.affine.coarse_to_fine=true")
    alone = memory(*coarse_to_fine)
    telling = memory(
        *coarse_to_fine,
        "model.affine.presence=true",
        "loss.presence_weight=1",
        "loss.absent_share=0.5",
    )
    assert (alone.pictures_seen, telling.pictures_seen) == (8, 8 + 3)
    assert telling.activations == pytest.approx(11 / 8 * alone.activations, rel=0.05)

    anew = memory("train.rematerialise=true")
    assert anew.activations_per_image < 0.7 * whole.activations_per_image
