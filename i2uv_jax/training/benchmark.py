"""How fast a config trains here: its source of batches and its step, compiled and timed.

Nothing is written. Every step is waited for, so that steps and batches can be timed apart; a real
run makes the next batch while a step is still running, and is faster by what the two overlap.
"""

import statistics
import time
from dataclasses import dataclass

import jax

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.measuring.device_peaks import measured_peaks, peaks_of, precision_of
from i2uv_jax.measuring.timing import counted, peak_host_bytes, program_bytes
from i2uv_jax.training.program import TrainingProgram
from i2uv_jax.training.utilisation import training_flops

_NUM_WARM_UP = 2


@dataclass(frozen=True)
class TrainingSpeed:
    """Steps of one run, after warming up."""

    batch_size: int
    num_devices: int
    compile_seconds: float
    """Of the step alone."""
    step_seconds: tuple[float, ...]
    """Of each step, without its batch."""
    data_seconds: tuple[float, ...]
    """Spent waiting for each batch."""
    flops_per_image: float | None
    """As the compiler counts them in the whole step: forwards, backwards and optimiser."""
    utilisation: float | None
    """Of the median step: the network's own operations, by `utilisation.py`, over what the devices
    could have done in its time; None for networks whose operations nobody counts."""
    peak_teraflops: float
    """Of one device, at the precision that convolutions run in."""
    peak_source: str
    device_bytes: int | None
    """Most memory in use on the first device, where it says so: accelerators do."""
    program_bytes: int | None
    """What the compiler reserves for the step on each device, arguments and results included."""
    host_bytes: int
    """Most memory that this process had resident until then, the compiler's included."""

    @property
    def images_per_second(self) -> float:
        """With data and step one after the other. Of batches the mean counts: where pictures are
        reused few cost much and most cost nothing."""
        seconds = statistics.median(self.step_seconds) + statistics.mean(self.data_seconds)
        return self.batch_size / seconds

    @property
    def data_wait_share(self) -> float:
        """Share of the time that goes into batches."""
        return sum(self.data_seconds) / (sum(self.data_seconds) + sum(self.step_seconds))


def measure_training(program: TrainingProgram, *, num_steps: int) -> TrainingSpeed:
    """Compiles and times a config's training.

    Args:
      num_steps: how many steps to time, after two that warm up; where batches are reused, more if
        need be, so that those of the last pool are all counted (`data.reused`).
    """
    config, num_devices = program.config, program.mesh.size
    steps_per_pool = config.data.reuse**2
    num_steps = -(-num_steps // steps_per_pool) * steps_per_pool
    state = program.first_state()
    batch = program.source.training_batch(0)
    start = time.perf_counter()
    compiled = program.train_step.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - start

    step_seconds, data_seconds = [], []
    for step in range(_NUM_WARM_UP + num_steps):
        start = time.perf_counter()
        batch = jax.block_until_ready(program.source.training_batch(step))
        ready = time.perf_counter()
        state, metrics = compiled(state, batch)
        jax.block_until_ready((state, metrics))
        end = time.perf_counter()
        data_seconds.append(ready - start)
        step_seconds.append(end - ready)
    device = program.mesh.devices.flat[0]
    host_bytes = peak_host_bytes()
    precision = precision_of(config.model.dtype, device.platform)
    peaks = peaks_of(device.device_kind, precision) or measured_peaks(precision)
    step_seconds = tuple(step_seconds[_NUM_WARM_UP:])
    flops, utilisation = training_flops(config.model), None
    if flops is not None:
        pictures, *_ = jax.eval_shape(lambda one: program.task.network_inputs(one), batch)
        peak = num_devices * 1e12 * peaks.teraflops[precision]
        utilisation = flops * len(pictures) / statistics.median(step_seconds) / peak
    return TrainingSpeed(
        batch_size=config.train.batch_size,
        num_devices=num_devices,
        compile_seconds=compile_seconds,
        step_seconds=step_seconds,
        data_seconds=tuple(data_seconds[_NUM_WARM_UP:]),
        flops_per_image=_flops_per_image(compiled, config, num_devices),
        utilisation=utilisation,
        peak_teraflops=peaks.teraflops[precision],
        peak_source=peaks.source,
        device_bytes=(device.memory_stats() or {}).get("peak_bytes_in_use"),
        program_bytes=program_bytes(compiled),
        host_bytes=host_bytes,
    )


def _flops_per_image(
    compiled: jax.stages.Compiled, config: ExperimentConfig, num_devices: int
) -> float | None:
    # Microbatches are a loop, whose body counts once.
    flops = counted(compiled, "flops")
    if flops is None:
        return None
    return flops * num_devices * config.train.microbatches / config.train.batch_size
