"""Collectives of compiled programs against what the programs say."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from i2uv_jax.measuring.collectives import Collective, collectives
from i2uv_jax.training.sharding import make_mesh


def compiled(function, *shapes, is_split=False):
    mesh = make_mesh(2)
    split = NamedSharding(mesh, PartitionSpec("data"))
    out = split if is_split else NamedSharding(mesh, PartitionSpec())
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32, sharding=split) for shape in shapes]
    return jax.jit(function, out_shardings=out).lower(*arrays).compile().as_text()


def test_a_sum_over_devices_is_one_all_reduce_of_its_result():
    text = compiled(lambda x: jnp.sum(x, axis=0), (4, 3, 5))
    assert collectives(text, 2) == (Collective("all-reduce", 1, 3 * 5 * 4),)


def test_making_a_split_array_whole_is_an_all_gather():
    (gather,) = collectives(compiled(lambda x: 2 * x, (4, 7)), 2)
    assert gather == Collective("all-gather", 1, 4 * 7 * 4)


def test_a_loop_counts_as_often_as_it_runs():
    def loop(x):
        def body(total, _):
            return jnp.sum(x * total, axis=0), None

        return jax.lax.scan(body, jnp.ones(6), None, length=5)[0]

    assert collectives(compiled(loop, (4, 6)), 2) == (Collective("all-reduce", 5, 5 * 6 * 4),)


def test_work_of_one_s_own_needs_none():
    text = compiled(lambda x: 2 * x, (4, 7), is_split=True)
    assert collectives(text, 2) == ()
