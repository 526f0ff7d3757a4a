"""`i2uv bench train`: the table and the JSON say the same; mistakes are one line."""

import json
from pathlib import Path

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.training import benchmark

TINY = str(Path(__file__).parents[2] / "configs" / "tiny.py")


@pytest.fixture
def measured(monkeypatch):
    """Puts a made-up measurement in place of the real one; returns the configs it was asked for."""
    asked = []

    def measure(config, *, num_steps):
        asked.append((config, num_steps))
        return benchmark.TrainingSpeed(
            batch_size=config.train.batch_size,
            num_devices=2,
            compile_seconds=12.0,
            step_seconds=(0.03, 0.03, 0.06),
            data_seconds=(0.01, 0.01, 0.01),
            flops_per_image=2.5e9,
            device_bytes=None,
            program_bytes=7_000_000,
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


def test_table(measured, capsys):
    assert main(["bench", "train", "--config", TINY]) == 0
    shown = capsys.readouterr().out
    for text in (
        "200.0",
        "30.0 ms (median of 3; 30.0 to 60.0)",
        "20.0%",
        "unknown here",
        "7.00 MB",
    ):
        assert text in shown


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
    made_up = benchmark.StepMemory(
        parameters=10**9, optimizer=2 * 10**9, average=10**9, gradient=10**9, batch=10**8,
        weights_for_backward=10**8, activations_per_image=10**7, microbatch_size=32,
    )  # fmt: skip
    monkeypatch.setattr(benchmark, "step_memory", lambda config: made_up)
    words = ["bench", "train", "--config", TINY, "--memory"]
    assert main(words) == 0
    table = capsys.readouterr().out.splitlines()
    # 5.2 GB, and 32 pictures of 10 MB.
    assert table[-1].split() == ["total", "5.520", "GB"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["microbatch_size"] == 32
    assert (told["bytes"]["activations"], told["bytes"]["total"]) == (32 * 10**7, 5_520_000_000)
