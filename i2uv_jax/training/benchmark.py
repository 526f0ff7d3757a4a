"""How fast a config trains here: its source of batches and its step, compiled and timed.

Nothing is written. Every step is waited for, so that steps and batches can be timed apart; a real
run makes the next batch while a step is still running, and is faster by what the two overlap.
"""

import statistics
import time
from dataclasses import dataclass, replace

import jax

from i2uv_jax.config import DataConfig, ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.measuring.collectives import Collective, collectives
from i2uv_jax.measuring.timing import counted, program_bytes
from i2uv_jax.training.program import abstract_state, build_program

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
    device_bytes: int | None
    """Most memory in use on the first device, where it says so: accelerators do."""
    program_bytes: int | None
    """What the compiler reserves for the step on each device, arguments and results included."""

    @property
    def images_per_second(self) -> float:
        """With data and step one after the other."""
        seconds = [step + data for step, data in self._pairs()]
        return self.batch_size / statistics.median(seconds)

    @property
    def data_wait_share(self) -> float:
        """Share of the time that goes into batches."""
        return sum(self.data_seconds) / (sum(self.data_seconds) + sum(self.step_seconds))

    def _pairs(self) -> zip:
        return zip(self.step_seconds, self.data_seconds, strict=True)


def measure_training(
    config: ExperimentConfig, *, num_steps: int, source: BatchSource | None = None
) -> TrainingSpeed:
    """Compiles and times a config's training.

    Args:
      num_steps: how many steps to time, after two that warm up.
      source: where batches come from; what `config.data` says unless given.

    Raises:
      ValueError: config and machine do not go together.
    """
    program = build_program(config, source)
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
    return TrainingSpeed(
        batch_size=config.train.batch_size,
        num_devices=program.mesh.size,
        compile_seconds=compile_seconds,
        step_seconds=tuple(step_seconds[_NUM_WARM_UP:]),
        data_seconds=tuple(data_seconds[_NUM_WARM_UP:]),
        flops_per_image=_flops_per_image(compiled, config, program.mesh.size),
        device_bytes=(device.memory_stats() or {}).get("peak_bytes_in_use"),
        program_bytes=program_bytes(compiled),
    )


def step_collectives(
    config: ExperimentConfig, source: BatchSource | None = None
) -> tuple[Collective, ...]:
    """What one training step sends between the config's devices, as compiled; nothing is run.

    Args:
      source: of batches like the config's; the renderer unless given.

    Raises:
      ValueError: config and machine do not go together.
    """
    # Where pictures come from does not matter to the step, and only rendered ones can be traced.
    config = replace(config, data=DataConfig())
    program = build_program(config, source)
    batch = jax.eval_shape(lambda: program.source.training_batch(0))
    compiled = program.train_step.lower(abstract_state(config), batch).compile()
    return collectives(compiled.as_text(), program.mesh.size)


def _flops_per_image(
    compiled: jax.stages.Compiled, config: ExperimentConfig, num_devices: int
) -> float | None:
    # Microbatches are a loop, whose body counts once.
    flops = counted(compiled, "flops")
    if flops is None:
        return None
    return flops * num_devices * config.train.microbatches / config.train.batch_size
