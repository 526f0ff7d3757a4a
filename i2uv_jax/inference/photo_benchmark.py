"""How long the way from a photo to a mesh is: step by step, from a fresh process on, by the folder.

`inference.benchmark` times the network alone. Seconds of CPU time stand beside those of the clock:
where others work on the machine they tell more.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from i2uv_jax.imaging.read import read_photo
from i2uv_jax.inference.detected_hand import PhotoDetector
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.measuring.timing import Spread

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Runs:
    """The same work several times."""

    whole: Spread
    cpu: Spread
    """Of all threads together."""
    steps: dict[str, Spread] = field(default_factory=dict)
    """Its steps in their order; together they are the whole."""


@dataclass(frozen=True)
class FolderSpeed:
    """Photos of a folder on their way through the pipeline."""

    num_photos: int
    seconds: float
    cpu_seconds: float
    """Of all threads together."""

    @property
    def photos_per_second(self) -> float:
        return self.num_photos / self.seconds


class StepClock:
    """Seconds of each step since the one before it ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        """Ends a step."""
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def measure_runs(
    run: Callable[[int, StepClock], object],
    num_runs: int,
    *,
    num_warm_up: int = 2,
    cpu_clock: Callable[[], float] = time.process_time,
) -> Runs:
    """Times a function of the run's number, which may note its steps on the clock it is given.

    Without steps the whole is from the call to its return.
    """
    wholes, cpus, clocks = [], [], []
    for index in range(num_warm_up + num_runs):
        clock, start, cpu_start = StepClock(), time.perf_counter(), cpu_clock()
        run(index, clock)
        seconds = time.perf_counter() - start
        cpus.append(cpu_clock() - cpu_start)
        wholes.append(sum(clock.seconds.values()) if clock.seconds else seconds)
        clocks.append(clock.seconds)
    steps = {
        step: Spread(tuple(clock[step] for clock in clocks[num_warm_up:])) for step in clocks[-1]
    }
    return Runs(Spread(tuple(wholes[num_warm_up:])), Spread(tuple(cpus[num_warm_up:])), steps)


def measure_hands(
    predictor: Predictor,
    paths: Sequence[Path],
    box_xyxy: Box,
    *,
    num_hands: int,
    detector: PhotoDetector | None = None,
) -> Runs:
    """Times one hand after the other, each from its file to its mesh, nothing beside it.

    Args:
      paths: photos, taken in turn.
      box_xyxy: the hand's, in all of them.
      detector: looks for hands first. The likeliest is then reconstructed; where none is found the
        one in the box, so that the work after it stays the same.
    """

    def one_hand(index: int, clock: StepClock) -> None:
        photo = read_photo(paths[index % len(paths)])
        clock.note("read")
        hand = {"box_xyxy": box_xyxy}
        if detector is not None:
            for found in detector(photo)[:1]:
                hand = found.for_model(predictor)
            clock.note("find")
        prepared = predictor.prepare(photo, **hand)
        clock.note("crop")
        predictor.start([prepared]).result()
        clock.note("network and mesh")

    return measure_runs(one_hand, num_hands)


def measure_command(command: Sequence[str], *, num_starts: int) -> Runs:
    """Times a command from its start to its end, after a first run that fills caches.

    Raises:
      RuntimeError: it failed; the message ends with its last line on stderr.
    """
    return measure_runs(
        lambda index, clock: _output(command), num_starts, num_warm_up=1, cpu_clock=_children_cpu
    )


def measure_first_mesh(path: Path, model: str, box_xyxy: Box, *, num_starts: int) -> Runs:
    """Times fresh processes of Python up to a mesh, step by step, after one that fills caches.

    Raises:
      RuntimeError: one failed; the message ends with its last line on stderr.
    """
    command = [sys.executable, "-m", "i2uv_jax.inference.first_mesh", str(path), model]

    def one_start(index: int, clock: StepClock) -> None:
        start = time.time()
        told = json.loads(_output([*command, *map(str, box_xyxy)]))
        clock.seconds = {"interpreter": told["entered"] - start, **told["steps"]}

    return measure_runs(one_start, num_starts, num_warm_up=1, cpu_clock=_children_cpu)


def measure_folder(predict: Callable[[], object], num_photos: int) -> FolderSpeed:
    """Times a call that predicts all photos of a folder."""
    start, cpu_start = time.perf_counter(), time.process_time()
    predict()
    return FolderSpeed(num_photos, time.perf_counter() - start, time.process_time() - cpu_start)


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise RuntimeError(f"{' '.join(command[:4])} ... failed: {last_line}")
    return done.stdout
