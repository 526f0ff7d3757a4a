"""How a process learns of others: from its arguments, from the cluster, or not at all."""

import jax
import pytest

from i2uv_jax.training.processes import SharedMaximum, connect, is_first_process


@pytest.fixture
def joined(monkeypatch):
    """What `jax.distributed.initialize` was called with."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *arguments: calls.append(arguments))
    for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    return calls


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, (), []),
        ({}, ("host:1234", 4, 3), [("host:1234", 4, 3)]),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}, (), [()]),
        # One task; a shell within an allocation of four.
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, (), []),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, (), []),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, (), [()]),
        ({"TPU_WORKER_HOSTNAMES": "a"}, (), []),
    ],
)
def test_connects_when_asked_and_only_then(joined, monkeypatch, environment, arguments, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connect(*arguments)
    assert joined == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("host:1234", 2, None), "only go together"),
        ((None, 2, 0), "only go together"),
        (("host:1234", 2, 2), "--process-id: expected 0 to 1 .* got 2"),
        (("host", 2, 0), "--coordinator: expected HOST:PORT, got 'host'"),
    ],
)
def test_contradictions_are_one_line(joined, arguments, message):
    with pytest.raises(ValueError, match=message):
        connect(*arguments)
    assert not joined


def test_one_process_is_the_first_and_its_number_the_largest():
    assert is_first_process()
    assert SharedMaximum()(15) == 15
