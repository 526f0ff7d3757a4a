"""How fast a model runs here: each part and the whole, by batch size, against the device's limits.

Parts are compiled alone and fed from the device's memory; the whole starts from bytes in the
host's memory. Every call is waited for.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.config import HandNetConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.export import export_model
from i2uv_jax.inference.parts import WHOLE, Part, network_parts
from i2uv_jax.inference.program import batch_mesh, compile_batched, replicated
from i2uv_jax.inference.runtimes import open_content
from i2uv_jax.measuring.device_peaks import Peaks
from i2uv_jax.measuring.timing import Spread, counted, program_bytes, time_calls
from i2uv_jax.models.complexity import flops_per_picture, model_complexity
from i2uv_jax.models.folding import fold_batch_norm


@dataclass(frozen=True)
class PartSpeed:
    """Calls of one part at one batch size."""

    part: str
    batch_size: int
    runs: Spread
    flops: int
    """Of a whole batch: its convolutions."""
    num_devices: int = 1
    compile_seconds: float | None = None
    first_call_seconds: float | None = None
    accessed_bytes: float | None = None
    """That one device's program reads and writes, as the compiler counts."""
    program_bytes: int | None = None
    """That it reserves on each device."""

    @property
    def images_per_second(self) -> float:
        return self.batch_size / self.runs.median

    @property
    def teraflops(self) -> float:
        return self.flops / self.runs.median / 1e12

    def share_of_peak(self, peaks: Peaks, precision: str) -> float:
        """Of the devices' arithmetic."""
        return self.teraflops / (self.num_devices * peaks.teraflops[precision])

    def share_of_roofline(self, peaks: Peaks, precision: str) -> float | None:
        """Time the device needs at least, for arithmetic or for memory, over the time taken."""
        if self.accessed_bytes is None:
            return None
        arithmetic = self.flops / self.num_devices / (1e12 * peaks.teraflops[precision])
        memory = self.accessed_bytes / (1e9 * peaks.gigabytes_per_second)
        return max(arithmetic, memory) / self.runs.median


def measure_inference(
    config: HandNetConfig,
    variables: dict,
    batch_sizes: Iterable[int],
    *,
    precision: str,
    num_runs: int,
    with_parts: bool = True,
) -> Iterator[PartSpeed]:
    """Compiles and times; yields each result as soon as it is there.

    Raises:
      RuntimeError: the device failed, or its memory is too small for a batch.
    """
    folded = fold_batch_norm(variables)
    parts = network_parts(config, folded, load_hand())
    for batch_size in batch_sizes:
        for part in parts:
            if with_parts or part.name == WHOLE:
                yield _measure_part(part, folded, batch_size, precision, num_runs)


def _measure_part(
    part: Part, variables: dict, batch_size: int, precision: str, num_runs: int
) -> PartSpeed:
    shapes = part.inputs(batch_size)
    start = time.perf_counter()
    compiled = compile_batched(part.function, (variables,), shapes, precision=precision)
    compile_seconds = time.perf_counter() - start
    mesh = batch_mesh(batch_size)
    placed = jax.device_put(variables, replicated(mesh))
    inputs = jax.tree.map(lambda leaf: drawn(leaf.shape, leaf.dtype), shapes)
    if part.name != WHOLE:
        shardings = compiled.input_shardings[0][1:]
        inputs = jax.block_until_ready(jax.device_put(inputs, shardings))

    def call() -> object:
        return compiled(placed, *inputs)

    first = time_calls(call, num_runs=1, num_warm_up=0)
    return PartSpeed(
        part=part.name,
        batch_size=batch_size,
        runs=time_calls(call, num_runs=num_runs),
        flops=batch_size * part.flops,
        num_devices=mesh.size,
        compile_seconds=compile_seconds,
        first_call_seconds=first.median,
        accessed_bytes=counted(compiled, "bytes accessed"),
        program_bytes=program_bytes(compiled),
    )


def measure_backend(
    backend: str,
    config: HandNetConfig,
    variables: dict,
    batch_sizes: Iterable[int],
    *,
    precision: str,
    num_runs: int,
    with_parts: bool = True,
) -> Iterator[PartSpeed]:
    """Times a model on "xla", "onnx" or "litert"; of the latter two the network alone.

    Raises:
      MissingRuntimeError: the backend's extra is not installed.
      RuntimeError: the device failed, or its memory is too small for a batch.
    """
    if backend == "xla":
        yield from measure_inference(
            config,
            variables,
            batch_sizes,
            precision=precision,
            num_runs=num_runs,
            with_parts=with_parts,
        )
        return
    network, _ = open_content(export_model(backend, config, variables, load_hand(), "measured"))
    flops = flops_per_picture(model_complexity(config), config.looks)
    yield from measure_network(backend, network, config, flops, batch_sizes, num_runs=num_runs)


def measure_network(
    name: str,
    network: Callable[[np.ndarray], object],
    config: HandNetConfig,
    flops: int,
    batch_sizes: Iterable[int],
    *,
    num_runs: int,
) -> Iterator[PartSpeed]:
    """Times another runtime's network, which waits for its own device, on the same pictures.

    Args:
      flops: of one picture.
    """
    for batch_size in batch_sizes:
        size = config.crop_size
        crops = drawn((batch_size, size, size, 3), np.dtype(np.uint8))
        first = time_calls(lambda: network(crops), num_runs=1, num_warm_up=0)  # noqa: B023
        runs = time_calls(lambda: network(crops), num_runs=num_runs)  # noqa: B023
        yield PartSpeed(name, batch_size, runs, batch_size * flops, first_call_seconds=first.median)


def drawn(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The same noise every time: bytes, or numbers from 0 to 1."""
    rng = np.random.default_rng(0)
    if jnp.issubdtype(dtype, jnp.floating):
        return rng.random(shape, np.float32).astype(dtype)
    return rng.integers(0, 256, shape).astype(dtype)
