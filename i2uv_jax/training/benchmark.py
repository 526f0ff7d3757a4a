"""How fast a config trains here: its source of batches and its step, compiled and timed.

Nothing is written. Every step is waited for, so that steps and batches can be timed apart; a real
run makes the next batch while a step is still running, and is faster by what the two overlap.
"""

import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import jax

from i2uv_jax.config import DataConfig, ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.measuring.collectives import Collective, collectives
from i2uv_jax.measuring.device_peaks import measured_peaks, peaks_of, precision_of
from i2uv_jax.measuring.timing import counted, peak_host_bytes, program_bytes
from i2uv_jax.models.networks import build_network
from i2uv_jax.training.program import TrainingProgram, abstract_state, build_program
from i2uv_jax.training.utilisation import training_flops
from i2uv_jax.types import TrainingBatch

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
        """With data and step one after the other."""
        seconds = [step + data for step, data in self._pairs()]
        return self.batch_size / statistics.median(seconds)

    @property
    def data_wait_share(self) -> float:
        """Share of the time that goes into batches."""
        return sum(self.data_seconds) / (sum(self.data_seconds) + sum(self.step_seconds))

    def _pairs(self) -> zip:
        return zip(self.step_seconds, self.data_seconds, strict=True)


def measure_training(program: TrainingProgram, *, num_steps: int) -> TrainingSpeed:
    """Compiles and times a config's training.

    Args:
      num_steps: how many steps to time, after two that warm up.
    """
    config, num_devices = program.config, program.mesh.size
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


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a training step needs on its one device, from the traced program's shapes."""

    parameters: int
    """With the running statistics."""
    optimizer: int
    average: int
    gradient: int
    """With the sum over microbatches, where there are several."""
    batch: int
    """Pictures and what is known of them; twice, as the next batch is made while a step runs."""
    weights_for_backward: int
    """What the backward pass keeps whatever the batch: weights in the computation's precision."""
    activations_per_image: int
    """What the backward pass keeps of each picture of a microbatch."""
    microbatch_size: int

    @property
    def activations(self) -> int:
        """Of one microbatch."""
        return self.activations_per_image * self.microbatch_size

    @property
    def total(self) -> int:
        """All of it at once."""
        return (
            self.parameters
            + self.optimizer
            + self.average
            + self.gradient
            + self.batch
            + self.weights_for_backward
            + self.activations
        )


def step_memory(config: ExperimentConfig, source: BatchSource | None = None) -> StepMemory:
    """What a step keeps on one device, read off the traced program: nothing is compiled or run.

    Activations are all that automatic differentiation hands from the forward to the backward pass,
    traced for one picture and for two. A compiler keeps fewer where it computes anew what is
    cheap, and needs room to work in, which is not counted; neither is the renderer.

    Args:
      source: of batches like the config's; the renderer unless given.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    batch_size, num_microbatches = config.train.batch_size, config.train.microbatches
    # CPUs' formulations keep other things than accelerators'.
    model_config = replace(config.model, cpu_paths="off")
    train = replace(config.train, batch_size=1, microbatches=1, num_devices=1, fsdp=1)
    config = replace(config, model=model_config, train=train, data=DataConfig())
    program = build_program(config, source)
    state = abstract_state(config)
    one = jax.eval_shape(lambda: program.source.training_batch(0))
    model = build_network(model_config, rematerialise=config.train.rematerialise)

    def backward(params: dict, batch_stats: dict, batch: TrainingBatch):
        def loss_of(params: dict):
            output, _ = model.apply(
                {"params": params, "batch_stats": batch_stats},
                *program.task.network_inputs(batch),
                train=True,
                mutable=["batch_stats"],
            )
            return program.task.compute_loss(output, batch)[0]

        return jax.vjp(loss_of, params)[1]

    kept = []
    for size in (1, 2):
        batch = jax.tree.map(
            lambda leaf, size=size: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), one
        )
        kept.append(_num_bytes(jax.eval_shape(backward, state.params, state.batch_stats, batch)))
    per_image = kept[1] - kept[0]
    params = _num_bytes(state.params)
    return StepMemory(
        parameters=params + _num_bytes(state.batch_stats),
        optimizer=_num_bytes(state.opt_state),
        average=_num_bytes(state.average),
        gradient=params * (1 if num_microbatches == 1 else 2),
        batch=2 * batch_size * _num_bytes(one),
        weights_for_backward=kept[0] - per_image,
        activations_per_image=per_image,
        microbatch_size=batch_size // num_microbatches,
    )


def _num_bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _flops_per_image(
    compiled: jax.stages.Compiled, config: ExperimentConfig, num_devices: int
) -> float | None:
    # Microbatches are a loop, whose body counts once.
    flops = counted(compiled, "flops")
    if flops is None:
        return None
    return flops * num_devices * config.train.microbatches / config.train.batch_size
