"""`i2uv bench train`: the table and the JSON say the same; mistakes are one line."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.training import benchmark, step_memory

TINY = str(Path(__file__).parents[2] / "configs" / "tiny.py")


@pytest.fixture
def measured(monkeypatch):
    """Puts a made-up measurement in place of the real one; returns the configs it was asked for."""
    asked = []

    def measure(program, *, num_steps):
        config = program.config
        asked.append((config, num_steps))
        return benchmark.TrainingSpeed(
            batch_size=config.train.batch_size,
            num_devices=2,
            compile_seconds=12.0,
            step_seconds=(0.03, 0.03, 0.06),
            data_seconds=(0.01, 0.01, 0.01),
            flops_per_image=2.5e9,
            utilisation=0.25,
            peak_teraflops=0.5,
            peak_source="made up",
            device_bytes=None,
            program_bytes=7_000_000,
            host_bytes=900_000_000,
        )

    monkeypatch.setattr(benchmark, "measure_training", measure)
    return asked


def test_json(measured, capsys):
    words = ["bench", "train", "--config", TINY, "--steps=3", "--train.batch_size=4", "--json"]
    assert main(words) == 0
    ((config, num_steps),) = measured
    assert (config.train.batch_size, num_steps) == (4, 3)
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["images_per_second"] == 100.0
    assert numbers["step_milliseconds"] == {"median": 30.0, "fastest": 30.0, "slowest": 60.0}
    assert numbers["data_wait_share"] == 0.2
    assert numbers["gigaflops_per_image"] == 2.5
    assert numbers["peak_device_megabytes"] is None
    assert numbers["peak_host_megabytes"] == 900
    assert (numbers["utilisation"], numbers["peak_teraflops"]) == (0.25, 0.5)
    assert "torch_step_milliseconds" not in numbers


def test_table(measured, capsys):
    assert main(["bench", "train", "--config", TINY]) == 0
    shown = capsys.readouterr().out
    for text in (
        "200.0",
        "30.0 ms (median of 3; 30.0 to 60.0)",
        "20.0%",
        "unknown here",
        "7.00 MB",
        "900.00 MB",
        "25.0% of 0.5 TFLOP/s a device (made up)",
    ):
        assert text in shown


def test_pytorch_s_step_stands_beside_ours(measured, capsys, monkeypatch):
    # In place of the module, which needs the extra `bench`; it has tests of its own.
    stand_in = SimpleNamespace(measure_torch_steps=lambda program, *, num_steps: (0.06, 0.05, 0.09))
    monkeypatch.setitem(sys.modules, "i2uv_jax.training.torch_step", stand_in)
    words = ["bench", "train", "--config", TINY, "--steps=3", "--vs", "torch"]
    assert main(words) == 0
    *_, theirs, ratio = capsys.readouterr().out.splitlines()
    assert theirs.split(maxsplit=2)[2] == "60.0 ms (median of 3; 50.0 to 90.0)"
    assert ratio.split()[-1] == "0.50"
    assert main([*words, "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["torch_step_milliseconds"] == {"median": 60, "fastest": 50, "slowest": 90}


def test_pytorch_that_is_not_installed_is_one_line(measured, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "i2uv_jax.training.torch_step", None)
    assert main(["bench", "train", "--config", TINY, "--vs", "torch"]) == 2
    assert "--vs torch: needs the extra `bench`" in capsys.readouterr().err
    assert not measured


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "nowhere.py"], "nowhere.py: no such file"),
        (["--config", TINY, "--train.batch_sise=1"], "did you mean train.batch_size"),
    ],
)
def test_mistakes_are_one_line(capsys, words, message):
    assert main(["bench", "train", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_memory_in_a_table_and_as_json(monkeypatch, capsys):
    made_up = step_memory.StepMemory(
        parameters=10**9, optimizer=2 * 10**9, average=10**9, gradient=10**9, batch=10**8,
        weights_for_backward=10**8, activations_per_image=10**7, microbatch_size=28,
        pictures_seen=32,
    )  # fmt: skip
    monkeypatch.setattr(step_memory, "step_memory", lambda config: made_up)
    words = ["bench", "train", "--config", TINY, "--memory"]
    assert main(words) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "tiny, one device, 28 pictures and 4 without a right hand at a time"
    # 5.2 GB, and 32 pictures of 10 MB.
    assert table[-1].split() == ["total", "5.520", "GB"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["microbatch_size"], told["pictures_seen"]) == (28, 32)
    assert (told["bytes"]["activations"], told["bytes"]["total"]) == (32 * 10**7, 5_520_000_000)
