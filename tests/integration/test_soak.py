"""A run that is killed (SIGKILL) again and again at random moments ends as if it never had been.

I2UV_SOAK_KILLS sets how often; 20 take some minutes.
"""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUM_KILLS = int(os.environ.get("I2UV_SOAK_KILLS", "3"))


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.quick_run", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def final_state(process):
    """The last line of a run that has to end well."""
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output.splitlines()[-1]


@pytest.mark.slow
def test_killed_run_ends_with_the_same_state(tmp_path):
    rng = random.Random(0)
    undisturbed = start(tmp_path / "undisturbed")
    num_kills, step = 0, 0
    while num_kills < NUM_KILLS:
        # Some steps after the last kill, and a moment later: within a step or a save.
        kill_at = step + rng.randint(1, max(1, 30 // NUM_KILLS))
        process = start(tmp_path / "killed")
        seen = []
        for line in process.stdout:
            seen.append(line)
            found = re.match(r"step (\d+)/", line)
            if found and int(found[1]) >= kill_at:
                time.sleep(rng.uniform(0, 0.1))
                process.kill()
                break
        process.stdout.close()
        assert process.wait() == -9, "".join(seen)
        num_kills, step = num_kills + 1, kill_at
    survivor = final_state(start(tmp_path / "killed"))
    assert survivor.startswith("state 40 ")
    assert survivor == final_state(undisturbed)
    left = {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()}
    assert left == {"39", "40"}
