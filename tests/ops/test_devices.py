"""Work on batches that are split over two (simulated) devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from i2uv_jax.ops.devices import on_every_device, on_own_device


@pytest.fixture
def sharding():
    return NamedSharding(Mesh(np.array(jax.devices()[:2]), "batch"), PartitionSpec("batch"))


def test_each_device_sees_its_own_part_and_what_is_whole(sharding):
    def seen(part, whole):
        return jnp.full(len(part), 10 * len(part) + len(whole))

    split = jax.jit(on_own_device(seen, sharding, whole=[1]))
    np.testing.assert_array_equal(split(jnp.zeros(6), jnp.zeros(5)), np.full(6, 35))
    np.testing.assert_array_equal(on_own_device(seen, None)(jnp.zeros(6), jnp.zeros(5)), [65] * 6)


def test_whole_arrays_are_on_every_device_already(sharding):
    tree = {"skins": np.arange(6), "none": None}
    there = on_every_device(tree, sharding)
    parts = there["skins"].addressable_shards
    assert {part.device for part in parts} == set(jax.devices()[:2])
    for part in parts:
        np.testing.assert_array_equal(part.data, tree["skins"])
    # A program of both devices takes them as they are: no copy between devices is allowed here.
    program = jax.jit(lambda x: x + 1, out_shardings=NamedSharding(sharding.mesh, PartitionSpec()))
    with jax.transfer_guard_device_to_device("disallow"):
        program(there["skins"])
    with (
        pytest.raises(Exception, match=r"[Dd]isallowed"),
        jax.transfer_guard_device_to_device("disallow"),
    ):
        program(on_every_device(tree, None)["skins"])
