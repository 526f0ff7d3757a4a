"""Layout of state and batches over devices, microbatches and remat: all compute the same.

On a network without batch norm that compiles in an instant; that the whole loop trains alike on
several devices is shown in `test_loop.py`, and across processes in `tests/integration`.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from i2uv_jax.config import TrainConfig
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training.gradient import build_gradient
from i2uv_jax.training.sharding import (
    FSDP_AXIS,
    MIN_SHARDED_SIZE,
    batch_sharding,
    check_batch_size,
    make_mesh,
    replicated,
    state_shardings,
)
from i2uv_jax.training.state import TrainState
from i2uv_jax.training.step import build_train_step

NUM_DEVICES = jax.device_count()


@jax.tree_util.register_dataclass
@dataclass
class Pictures:
    """Stands for a batch."""

    network_input: jax.Array
    uv_map: jax.Array


class SmallNet(nn.Module):
    """Two convolutions, the first large enough to be sharded; batch norm between them if asked."""

    normalise: bool = False

    @nn.compact
    def __call__(self, image, *, train):
        x = nn.Conv(64, (3, 3))(image)
        if self.normalise:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return HandNetOutput(stage_uv_maps=(), uv_map=nn.Conv(3, (3, 3))(nn.relu(x)))


def squared_error(output, batch):
    loss = jnp.mean((output.uv_map - batch.uv_map) ** 2)
    return loss, {"total": loss}


def pictures(step, count=8):
    keys = jax.random.split(jax.random.key(step))
    image, uv_map = (jax.random.uniform(key, (count, 8, 8, 3)) for key in keys)
    # Every other one is darker, so that microbatches differ in their statistics.
    image = image * jnp.where(jnp.arange(count) % 2, 1.0, 0.2)[:, None, None, None]
    return Pictures(network_input=image, uv_map=uv_map)


def train_small_net(
    *, devices=1, fsdp=1, microbatches=1, normalise=False, skip_above=None, steps=4
):
    """(state, losses) of a few steps of Adam with an average of the weights."""
    net, mesh, optimizer = SmallNet(normalise), make_mesh(devices, fsdp), optax.adam(1e-2)

    def first_state(key):
        variables = net.init(key, pictures(0).network_input, train=False)
        params, batch_stats = variables["params"], variables.get("batch_stats", {})
        average = jax.tree.map(jnp.copy, {"params": params, "batch_stats": batch_stats})
        return TrainState(jnp.int32(0), params, batch_stats, optimizer.init(params), average)

    key = jax.random.key(0)
    shardings = state_shardings(jax.eval_shape(first_state, key), mesh)
    gradient_of = build_gradient(net, squared_error, num_microbatches=microbatches, mesh=mesh)
    step = jax.jit(
        build_train_step(optimizer, gradient_of, average_decay=0.9, skip_above=skip_above),
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )
    state, losses = jax.jit(first_state, out_shardings=shardings)(key), []
    for index in range(steps):
        state, metrics = step(state, jax.device_put(pictures(index), batch_sharding(mesh)))
        losses.append(float(metrics["loss/total"]))
    return state, losses


@pytest.fixture(scope="module")
def plain():
    return train_small_net()


def assert_close(first, second):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), first, second)


@pytest.mark.parametrize(
    "options",
    [
        {"devices": NUM_DEVICES},
        {"devices": NUM_DEVICES, "fsdp": 2},
        {"microbatches": 4},
        {"devices": NUM_DEVICES, "fsdp": 2, "microbatches": 2},
    ],
    ids=str,
)
def test_every_layout_has_the_same_loss_curve_and_state(plain, options):
    state, losses = train_small_net(**options)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, plain[1], rtol=1e-5)
    assert_close(state, plain[0])


def test_parameters_and_optimiser_state_really_are_sharded():
    state, _ = train_small_net(devices=NUM_DEVICES, fsdp=2, steps=1)
    whole = (3, 3, 3, 64)
    adam = state.opt_state[0]
    for tree in (state.params, state.average["params"], adam.mu, adam.nu):
        kernel = tree["Conv_0"]["kernel"]
        assert kernel.shape == whole
        assert kernel.addressable_shards[0].data.shape == (3, 3, 3, 32)
        # Too small to be worth it.
        bias = tree["Conv_0"]["bias"]
        assert bias.addressable_shards[0].data.shape == bias.shape


def test_batch_norm_covers_all_devices_but_each_microbatch_alone():
    whole, _ = train_small_net(normalise=True, steps=1)
    spread, _ = train_small_net(normalise=True, devices=NUM_DEVICES, steps=1)
    assert_close(spread.batch_stats, whole.batch_stats)

    pieces, _ = train_small_net(normalise=True, microbatches=2, steps=1)
    old, new = whole.batch_stats["BatchNorm_0"], pieces.batch_stats["BatchNorm_0"]
    # One update towards the mean of the microbatches' means, which is the batch's mean; the mean of
    # their variances lacks the variance between them.
    np.testing.assert_allclose(new["mean"], old["mean"], rtol=1e-4, atol=1e-6)
    assert (new["var"] < old["var"]).all()


def test_microbatches_take_every_other_picture():
    net, batch = SmallNet(), pictures(0)
    params = net.init(jax.random.key(0), batch.network_input, train=False)["params"]
    seen = []

    def note(output, part):
        jax.debug.callback(lambda image: seen.append(np.asarray(image)), part.network_input)
        return squared_error(output, part)

    build_gradient(net, note, num_microbatches=2)(params, {}, batch)
    jax.effects_barrier()
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], batch.network_input[::2])
    np.testing.assert_array_equal(seen[1], batch.network_input[1::2])


def test_skipped_step_changes_nothing_but_its_number():
    before, losses = train_small_net(steps=1)
    # A limit that the first loss meets exactly, and the second exceeds or not.
    kept, _ = train_small_net(steps=1, skip_above=0.5 * losses[0])
    start, _ = train_small_net(steps=0)
    assert int(kept.step) == 1
    jax.tree.map(np.testing.assert_array_equal, kept.replace(step=start.step), start)
    taken, _ = train_small_net(steps=1, skip_above=2 * losses[0])
    assert_close(taken, before)


def test_rule_for_splitting_a_leaf():
    mesh = make_mesh(2, 2)
    side = int(MIN_SHARDED_SIZE**0.5) + 2
    shapes = {
        "longest": ((side, 2 * side), PartitionSpec(None, FSDP_AXIS)),
        "last of equals": ((side, side), PartitionSpec(None, FSDP_AXIS)),
        "only the divisible": ((side, 2 * side + 1), PartitionSpec(FSDP_AXIS)),
        "none divisible": ((side + 1, side + 1), PartitionSpec()),
        "small": ((4, 4), PartitionSpec()),
        "scalar": ((), PartitionSpec()),
    }
    leaves = {n: jax.ShapeDtypeStruct(shape, jnp.float32) for n, (shape, _) in shapes.items()}
    found = {name: sharding.spec for name, sharding in state_shardings(leaves, mesh).items()}
    assert found == {name: spec for name, (_, spec) in shapes.items()}


def test_impossible_layouts_are_one_line():
    with pytest.raises(ValueError, match=r"train.fsdp: expected a divisor of the 1 devices, got 2"):
        make_mesh(1, 2)
    config = TrainConfig(batch_size=6, microbatches=2)
    with pytest.raises(ValueError, match=r"multiple of the 2 devices x 2 microbatches, got 6"):
        check_batch_size(config, make_mesh(2))
    with pytest.raises(ValueError, match=r"train.microbatches: expected a divisor of .*\(6\)"):
        TrainConfig(batch_size=6, microbatches=4)
