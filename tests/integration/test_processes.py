"""Two processes on this machine train as one process does, save together and stop together."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from i2uv_jax.models.weights import load_model_file

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.integration.sheet_run"
OVERRIDES = [
    "train.num_devices=none",
    "train.num_steps=3",
    "train.batch_size=8",
    "train.picture_every=3",
    "train.ema_decay=none",
    "model.affine.decoder_channels=8,8",
]


def run(words, *, devices):
    # Compiling takes longer than training here.
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_two_processes_with_sharded_state_train_as_one_process(tmp_path):
    one = run([PROGRAM, "--out", str(tmp_path / "one"), "--set", *OVERRIDES], devices=1)
    assert one.returncode == 0, one.stderr
    launcher = ["launch.local_processes", "--processes=2", "--devices=2", f"--module={PROGRAM}"]
    arguments = ["--out", str(tmp_path / "two"), "--set", *OVERRIDES, "train.fsdp=2"]
    two = run([*launcher, "--", *arguments], devices=1)
    assert two.returncode == 0, two.stdout + two.stderr

    # Four devices in two processes; only the first one speaks of the run.
    assert "[0] sheet: " in two.stdout
    assert "4 x cpu in 2 processes" in two.stdout
    assert "[1] sheet: " not in two.stdout
    assert (tmp_path / "two" / "checkpoints" / "3").is_dir()
    models = [load_model_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    (_, first, first_card), (_, second, second_card) = models
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), first, second)
    for name, error in first_card["evaluation_mm"].items():
        np.testing.assert_allclose(second_card["evaluation_mm"][name], error, rtol=1e-3)


def test_launcher_kills_all_when_one_process_fails(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "if sys.argv[-1].endswith('=1'):\n"
        "    sys.exit('process 1 has had enough')\n"
        "time.sleep(600)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "launch.local_processes", "--module=program", "--", "--out=x"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH')}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "[1] process 1 has had enough" in done.stdout
