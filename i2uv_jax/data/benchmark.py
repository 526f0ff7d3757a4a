"""How fast pictures are generated, and where the time goes.

A renderer is compiled into one program, whose parts cannot be timed from outside. So they are left
out one after the other by config, each time with all before it, and each step's saving is that
part's share: the shares of one ladder sum to the whole.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax

from i2uv_jax.config import RenderConfig, plain_looks
from i2uv_jax.data.generator import HandGenerator
from i2uv_jax.hand.asset import Hand

_SMALLEST_IMAGE = 16
"""Side in pixels of pictures that cost next to nothing."""

REST = "placing and posing"
"""What is left once all other parts are gone."""


@dataclass(frozen=True)
class Speed:
    """Runs of one renderer, after warming up."""

    batch_size: int
    compile_seconds: float
    batch_seconds: tuple[float, ...]
    """Of each run."""
    device_bytes: int | None
    """What the program needs on the device besides arguments and results, where it says so."""

    @property
    def median_seconds(self) -> float:
        """Of a batch."""
        return statistics.median(self.batch_seconds)

    @property
    def images_per_second(self) -> tuple[float, float, float]:
        """Of the slowest, the median and the fastest run."""
        seconds = max(self.batch_seconds), self.median_seconds, min(self.batch_seconds)
        return tuple(self.batch_size / one for one in seconds)


@dataclass(frozen=True)
class Part:
    """What one part of the renderer costs."""

    name: str
    milliseconds_per_image: float
    """Negative where leaving the part out saved less than runs differ by."""


def measure_speed(config: RenderConfig, hand: Hand, batch_size: int, *, num_runs: int) -> Speed:
    """Times `num_runs` batches, each of pictures of its own.

    Raises:
      ValueError: a folder of textures or pictures that the config names cannot be used.
    """
    generator = HandGenerator(config, hand, batch_size)
    start = time.perf_counter()
    program = generator.compiled
    compile_seconds = time.perf_counter() - start
    keys = jax.random.split(jax.random.key(0), num_runs + 2)
    for key in keys[:2]:
        jax.block_until_ready(generator(key))
    seconds = []
    for key in keys[2:]:
        start = time.perf_counter()
        jax.block_until_ready(generator(key))
        seconds.append(time.perf_counter() - start)
    memory = program.memory_analysis()
    return Speed(
        batch_size=batch_size,
        compile_seconds=compile_seconds,
        batch_seconds=tuple(seconds),
        device_bytes=None if memory is None else memory.temp_size_in_bytes,
    )


def ladder(config: RenderConfig) -> list[tuple[str, RenderConfig]]:
    """(part, config without this part and all before it), the dearest looks first.

    Parts that the config leaves out anyway are not listed.
    """
    steps: list[tuple[str, Callable[[RenderConfig], RenderConfig]]] = [
        ("sensor", lambda c: replace(c, sensor=replace(c.sensor, strength=0.0))),
        ("background", _without_background),
        ("occluders", _without_occluders),
        ("skin, light, clothes", plain_looks),
        (
            "rasterising and plain shading",
            lambda c: replace(c, image_size=min(_SMALLEST_IMAGE, c.image_size), supersampling=1),
        ),
        ("UV maps", lambda c: replace(c, uv_map_size=2)),
    ]
    rungs = []
    for name, leave_out in steps:
        without = leave_out(config)
        if without != config:
            rungs.append((name, without))
        config = without
    return rungs


def measure_parts(
    config: RenderConfig,
    whole: Speed,
    hand: Hand,
    *,
    num_runs: int,
    on_progress: Callable[[str], None] = lambda name: None,
) -> list[Part]:
    """The share of each part in the time that `whole`, the speed of `config`, takes.

    Every rung of the ladder is compiled, which takes minutes on a CPU.

    Args:
      on_progress: called with the name of each part before it is measured.
    """
    parts, before = [], whole.median_seconds
    for name, without in ladder(config):
        on_progress(name)
        after = measure_speed(without, hand, whole.batch_size, num_runs=num_runs).median_seconds
        parts.append(Part(name, 1000 * (before - after) / whole.batch_size))
        before = after
    return [*parts, Part(REST, 1000 * before / whole.batch_size)]


def _without_background(config):
    return replace(
        config,
        background=replace(
            config.background, clutter=0.0, defocus=0.0, people_share=0.0, folder=None
        ),
    )


def _without_occluders(config):
    occlusion = replace(
        config.occlusion, front_share=0.0, grasp_share=0.0, limb_share=0.0, truncation_share=0.0
    )
    return replace(config, occlusion=occlusion)
