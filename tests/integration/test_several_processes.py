"""Two processes on this machine train as one process does, save together and stop together."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.integration.quick_run"
LAUNCHER = ["launch.local_processes", "--processes=2", "--devices=4", f"--module={PROGRAM}"]
OVERRIDES = ["--set", "train.batch_size=8"]


def start(words, num_devices=1, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={
            **os.environ,
            "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} "
            f"--xla_force_host_platform_device_count={num_devices}",  # the last one counts
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(output):
    return [float(loss) for loss in re.findall(r"step \d+/40: loss ([\d.]+)", output)]


@pytest.mark.slow
def test_two_processes_with_sharded_state_train_as_one_process(tmp_path):
    alone = start([PROGRAM, str(tmp_path / "one"), *OVERRIDES])
    together = start([*LAUNCHER, "--", str(tmp_path / "two"), *OVERRIDES, "train.fsdp=2"])
    one, two = (process.communicate(timeout=600)[0] for process in (alone, together))
    assert alone.returncode == 0, one
    assert together.returncode == 0, two

    # Eight devices in two processes; only the first one speaks of the run.
    assert "[0] sheet: " in two
    assert "8 x cpu in 2 processes" in two
    assert "[1] sheet: " not in two
    assert len(losses(one)) == 40
    np.testing.assert_allclose(losses(two), losses(one), atol=2e-3)
    assert losses(one)[-1] < losses(one)[0]
    # Both see the same state.
    assert len(set(re.findall(r"\] (state 40 \d+)", two))) == 1
    assert (tmp_path / "two" / "checkpoints" / "40").is_dir()
    first, second = (
        json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two")
    )
    for name, error in first.items():
        np.testing.assert_allclose(second[name], error, rtol=1e-2)


@pytest.mark.slow
def test_eight_devices_have_the_loss_curve_of_one(tmp_path):
    curves = []
    for count in (1, 8):
        words = [PROGRAM, str(tmp_path / str(count)), *OVERRIDES]
        run = start(words, num_devices=count)
        output, _ = run.communicate(timeout=600)
        assert run.returncode == 0, output
        assert f"{count} x cpu" in output
        curves.append(losses(output))
    assert len(curves[0]) == 40
    # Lines have four digits after the point. Sums over devices are in another order, and each step
    # starts from the rounding errors of all before.
    np.testing.assert_allclose(curves[1], curves[0], atol=2e-3)


@pytest.mark.slow
def test_sigterm_stops_all_processes_after_the_same_step_and_the_run_goes_on_alone(tmp_path):
    together = start([*LAUNCHER, "--", str(tmp_path / "run"), *OVERRIDES])
    lines = []
    for line in together.stdout:
        lines.append(line)
        if line.startswith("[0] step 5/"):
            together.send_signal(signal.SIGTERM)
    together.stdout.close()
    output = "".join(lines)
    assert together.wait() == 128 + signal.SIGTERM, output
    (step,) = re.findall(r"\[0\] stopped by a signal after step (\d+)", output)
    assert 5 <= int(step) < 40
    assert len(re.findall(rf"\] state {step} ", output)) == 2
    assert (tmp_path / "run" / "checkpoints" / step).is_dir()

    alone = start([PROGRAM, str(tmp_path / "run"), *OVERRIDES])
    output, _ = alone.communicate(timeout=600)
    assert alone.returncode == 0, output
    assert f"1 x cpu, steps {step} to 40" in output


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_read_is_left_by_all(tmp_path):
    (tmp_path / "half_blind.py").write_text(
        "import sys, jax\n"
        "from i2uv_jax.training import checkpoint\n"
        "from tests.integration import quick_run\n"
        "read = checkpoint._read\n"
        "def read_or_fail(folder, *rest):\n"
        "    is_first = not (folder.parent / 'damaged-6').exists()\n"
        "    if is_first and folder.name == '6' and jax.process_index() == 1:\n"
        "        raise OSError('the disk does not answer')\n"
        "    return read(folder, *rest)\n"
        "checkpoint._read = read_or_fail\n"
        "sys.exit(quick_run.main())\n"
    )
    run = [str(tmp_path / "run"), *OVERRIDES]
    alone = start([PROGRAM, *run, "train.num_steps=6"])
    output, _ = alone.communicate(timeout=600)
    assert alone.returncode == 0, output
    launcher = [word.replace(PROGRAM, "half_blind") for word in LAUNCHER]
    together = start(
        [*launcher, "--", *run, "train.num_steps=9"],
        PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    )
    output, _ = together.communicate(timeout=600)
    assert together.returncode == 0, output
    assert "checkpoints/6: not whole (another process cannot read it); going on from" in output
    assert "in 2 processes, steps 3 to 9" in output
    assert len(set(re.findall(r"\] (state 9 \d+)", output))) == 1


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
