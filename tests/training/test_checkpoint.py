"""Checkpoints that are cut short, changed, or find no room: noticed, said, and survived."""

import gc
import resource
import shutil
import signal
import sys
import threading
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from i2uv_jax.training.checkpoint import Checkpoints
from i2uv_jax.training.fingerprint import tree_fingerprint
from i2uv_jax.training.sharding import (
    batch_sharding,
    make_mesh,
    replicated,
    state_shardings,
)
from i2uv_jax.training.state import TrainState


def state_after(step):
    # Numbers that cannot be compressed, so that the largest file is known to be theirs.
    params = {"kernel": jax.random.normal(jax.random.key(step), (64, 64)), "bias": jnp.zeros(3)}
    return TrainState(jnp.int32(step), params, {}, optax.adam(1e-3).init(params), None)


def restore(folder, notes):
    with Checkpoints(folder) as checkpoints:
        shapes = jax.eval_shape(lambda: state_after(0))
        return checkpoints.restore(shapes, replicated(make_mesh(1)), notes.append)


def assert_is_state_after(step, state):
    chex.assert_trees_all_equal(state, state_after(step))


def entries(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture(autouse=True)
def forgotten_readers(monkeypatch):
    """orbax drops its other reads when one fails; what they say when they end is no error."""
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    yield
    gc.collect()


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 2 and 4."""
    with Checkpoints(tmp_path) as checkpoints:
        for step in (2, 4):
            checkpoints.save(state_after(step))
    return tmp_path


def largest_file(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return max(files, key=lambda path: path.stat().st_size)


def cut_short(folder):
    path = largest_file(folder)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def change_a_byte(folder):
    path = largest_file(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def empty(folder):
    shutil.rmtree(folder / "state")


def misname_the_fingerprint(folder):
    path = folder / "check" / "metadata"
    path.write_bytes(path.read_bytes().replace(b"fingerprint", b"fingerprinT"))


@pytest.mark.parametrize("damage", [cut_short, change_a_byte, empty, misname_the_fingerprint])
def test_damaged_newest_is_reported_and_the_one_before_is_used(folder, damage):
    damage(folder / "checkpoints" / "4")
    notes = []
    assert_is_state_after(2, restore(folder, notes))
    (note,) = notes
    assert f"{folder}/checkpoints/4: not whole (" in note
    assert note.endswith("; going on from the checkpoint of step 2")
    # Out of the way, so that step 4 can be saved once more.
    assert entries(folder) == ["2", "damaged-4"]
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(state_after(4))
    notes.clear()
    assert_is_state_after(4, restore(folder, notes))
    assert not notes


def test_whole_checkpoint_comes_back_without_a_word(folder):
    notes = []
    assert_is_state_after(4, restore(folder, notes))
    assert not notes
    assert entries(folder) == ["2", "4"]


@pytest.mark.parametrize(("saved_on", "restored_on"), [((2, 2), (1, 1)), ((1, 1), (2, 2))])
def test_a_checkpoint_comes_back_on_other_devices_in_another_layout(
    tmp_path, saved_on, restored_on
):
    def shardings(devices, fsdp):
        return state_shardings(jax.eval_shape(lambda: state_after(0)), make_mesh(devices, fsdp))

    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(jax.device_put(state_after(2), shardings(*saved_on)))
    with Checkpoints(tmp_path) as checkpoints:
        shapes = jax.eval_shape(lambda: state_after(0))
        state = checkpoints.restore(shapes, shardings(*restored_on), pytest.fail)
    assert_is_state_after(2, state)
    for kernel in (state.params["kernel"], state.opt_state[0].mu["kernel"]):
        shards = [shard.data.shape for shard in kernel.addressable_shards]
        assert shards == ([(64, 64)] if restored_on == (1, 1) else [(64, 32), (64, 32)])


def test_the_source_s_state_and_the_time_come_back_with_the_checkpoint_that_is_used(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (2, 4):
            checkpoints.save(state_after(step), {"next_index": step, "sets": ["a"]}, 10.5 * step)
    cut_short(tmp_path / "checkpoints" / "4")
    with Checkpoints(tmp_path) as checkpoints:
        shapes = jax.eval_shape(lambda: state_after(0))
        checkpoints.restore(shapes, replicated(make_mesh(1)), lambda note: None)
        assert checkpoints.restored_source_state == {"next_index": 2, "sets": ["a"]}
        assert checkpoints.restored_seconds == 21.0


def test_nothing_is_moved_if_no_checkpoint_is_whole(folder):
    for step in "24":
        empty(folder / "checkpoints" / step)
    with pytest.raises(ValueError, match=r"checkpoints/4: not whole .* none of the 2 checkpoints"):
        restore(folder, [])
    assert entries(folder) == ["2", "4"]


def test_too_little_room_is_said_before_anything_is_written(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    message = r"No space left on device: the checkpoint of step 6 takes .* last good one is .* 4:"
    with pytest.raises(OSError, match=message), Checkpoints(folder) as checkpoints:
        checkpoints.save(state_after(6))
    assert entries(folder) == ["2", "4"]


def test_failing_write_is_one_line_and_leaves_the_last_good_one(folder):
    """As on a disk that fills up during the write: no file may grow beyond 4 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with (
            pytest.raises(OSError, match="last good one is that of step 4") as error,
            Checkpoints(folder) as checkpoints,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
            checkpoints.save(state_after(6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(error.value)
    notes = []
    assert_is_state_after(4, restore(folder, notes))
    assert not notes


def test_what_a_killed_process_left_unfinished_is_cleared_away(folder):
    unfinished = folder / "checkpoints" / "6.orbax-checkpoint-tmp" / "state"
    unfinished.mkdir(parents=True)
    (unfinished / "part").write_text("half")
    notes = []
    assert_is_state_after(4, restore(folder, notes))
    assert not notes
    assert entries(folder) == ["2", "4"]


def test_fingerprint_sees_every_change_and_no_layout():
    values = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    whole = {"a": jnp.asarray(values), "b": jnp.arange(3), "c": jnp.array([True, False])}
    expected = tree_fingerprint(whole)
    split = {**whole, "a": jax.device_put(values, batch_sharding(make_mesh(2)))}
    assert len(split["a"].addressable_shards) == 2
    assert tree_fingerprint(split) == expected

    changed = values.copy()
    changed[5, 3] = np.nextafter(changed[5, 3], 9)  # the last bit
    swapped = values[::-1].copy()
    for other in (changed, swapped, values.T.copy()):
        assert tree_fingerprint({**whole, "a": jnp.asarray(other)}) != expected
    assert tree_fingerprint({**whole, "c": jnp.array([True, True])}) != expected
