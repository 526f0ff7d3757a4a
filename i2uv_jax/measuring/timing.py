"""How long calls take, waited for, and how much memory programs and this process take."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np


@dataclass(frozen=True)
class Spread:
    """Seconds of repeated calls after warming up."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def percentile(self, percent: float) -> float:
        """By linear interpolation; with n calls nothing beyond 100 (1 - 1 / n) is really seen."""
        return float(np.percentile(self.seconds, percent))


def time_calls(call: Callable[[], object], *, num_runs: int, num_warm_up: int = 2) -> Spread:
    """Times a call, each time until all that it returns has been computed."""
    seconds = []
    for _ in range(num_warm_up + num_runs):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return Spread(tuple(seconds[num_warm_up:]))


def program_bytes(compiled: jax.stages.Compiled) -> int | None:
    """What the compiler reserves on each device, arguments and results included; None if unsaid."""
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    sizes = (
        memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes
    )  # fmt: skip
    return sum(sizes) - memory.alias_size_in_bytes


def peak_host_bytes() -> int:
    """Most memory that this process has had resident so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # else in units of 1024 bytes


def counted(compiled: jax.stages.Compiled, what: str) -> float | None:
    """A figure of the compiler's own analysis of one device's program: "flops", "bytes accessed".

    The body of a loop counts once. None where the backend does not say.
    """
    value = (compiled.cost_analysis() or {}).get(what)
    return value if value and value > 0 else None
