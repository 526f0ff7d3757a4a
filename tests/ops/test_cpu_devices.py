"""How many CPU devices JAX is asked for, in processes of their own: it can be asked only once."""

import os
import subprocess
import sys

import pytest

from i2uv_jax.ops import cpu_devices

COUNT = """
import sys
from i2uv_jax.ops import cpu_devices
cpu_devices.os.cpu_count = lambda: int(sys.argv[2])
cpu_devices.split_cpu(int(sys.argv[1]))
import jax
print(jax.device_count())
"""


def count_devices(batch_size, num_cores, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", COUNT, str(batch_size), str(num_cores)]
    done = subprocess.run(
        command, env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    ("batch_size", "num_cores", "count"),
    [(16, 2, 2), (16, 1, 1), (16, 64, 4), (6, 2, 1), (12, 4, 3), (1, 8, 1)],
)
def test_each_device_gets_an_even_number_of_pictures(batch_size, num_cores, count):
    assert count_devices(batch_size, num_cores) == count


def test_who_says_how_many_is_obeyed():
    flags = "--xla_force_host_platform_device_count=3"
    assert count_devices(16, 2, XLA_FLAGS=flags) == 3
    assert count_devices(16, 2, JAX_NUM_CPU_DEVICES="5") == 5


def test_it_may_come_too_late(monkeypatch):
    import jax

    before = jax.devices()
    monkeypatch.delenv("XLA_FLAGS")
    cpu_devices.split_cpu(16)
    assert jax.devices() == before
