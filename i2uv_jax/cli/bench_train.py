"""`i2uv bench train`: how fast a config trains on this machine."""

import argparse
import dataclasses
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.json_text import print_json
from i2uv_jax.cli.overrides import leave_overrides

if TYPE_CHECKING:
    from i2uv_jax.config import ExperimentConfig
    from i2uv_jax.training.benchmark import TrainingSpeed

_DESCRIPTION = """Compile the training step of a config, warm up, and time steps and the pictures
they wait for, one after the other. Values can be changed as for `i2uv train`: --train.batch_size=64
--train.microbatches=2. Nothing is written."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds `train` to the verbs of `i2uv bench`."""
    parser = verbs.add_parser(
        "train",
        help="speed of training",
        usage="%(prog)s --config FILE [--KEY=VALUE ...] [--steps N] "
        "[--vs torch | --collectives N | --memory] [--json]",
        description=_DESCRIPTION,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--steps",
        type=positive_int,
        default=20,
        metavar="N",
        help="steps to time (20), or somewhat more where pictures are reused (data.reuse)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--vs", choices=("torch",), help="time the same step in PyTorch, too, in the same run"
    )
    instead.add_argument(
        "--collectives",
        type=positive_int,
        metavar="N",
        help="instead of timing, compile the step for N virtual CPU devices and list what they "
        "send each other (docs/scaling.md)",
    )
    instead.add_argument(
        "--memory",
        action="store_true",
        help="instead of timing, add up what a step keeps on one device; nothing is compiled "
        "(docs/base.md)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)
    leave_overrides(parser)


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the process's exit code."""
    from i2uv_jax.config import ExperimentConfig
    from i2uv_jax.config_io import load_config, with_overrides

    try:
        config = with_overrides(load_config(args.config, ExperimentConfig), args.overrides)
        if args.collectives is not None:
            return _print_collectives(config, args.collectives, as_json=args.json)
        if args.memory:
            return _print_memory(config, as_json=args.json)

        import jax

        from i2uv_jax.training.benchmark import measure_training
        from i2uv_jax.training.program import build_program

        if args.vs == "torch":  # said before anything is measured
            try:
                from i2uv_jax.training.torch_step import measure_torch_steps
            except ImportError as error:
                raise CommandError(f"--vs torch: needs the extra `bench` ({error})") from error

        print(f"compiling and timing {config.name} ...", file=sys.stderr, flush=True)
        program = build_program(config)
        speed = measure_training(program, num_steps=args.steps)
        device = jax.devices()[0]
        numbers = {
            "config": config.name,
            "device": f"{speed.num_devices} x {device.device_kind} ({device.platform})",
            "image_size": config.model.image_size,
            **training_numbers(speed),
        }
        if args.vs == "torch":
            numbers["torch_step_milliseconds"] = _spread(
                measure_torch_steps(program, num_steps=args.steps)
            )
    except ValueError as error:
        raise CommandError(error) from error
    if args.json:
        print_json(numbers)
    else:
        _print_table(numbers)
    return 0


def _print_collectives(config: "ExperimentConfig", num_devices: int, *, as_json: bool) -> int:
    # JAX reads both when it is first imported.
    os.environ["JAX_PLATFORMS"] = "cpu"
    flag = f"--xla_force_host_platform_device_count={num_devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"

    from i2uv_jax.training.step_collectives import step_collectives

    print(f"compiling {config.name} for {num_devices} devices ...", file=sys.stderr, flush=True)
    train = dataclasses.replace(config.train, num_devices=num_devices)
    found = step_collectives(dataclasses.replace(config, train=train))
    if as_json:
        rows = [dataclasses.asdict(one) for one in found]
        print_json({"config": config.name, "devices": num_devices, "collectives": rows})
        return 0
    print(f"{config.name}, {num_devices} devices, per step and device")
    print(f"{'kind':20}{'count':>8}{'megabytes':>12}")
    for one in found:
        print(f"{one.kind:20}{one.count:>8}{one.num_bytes / 1e6:>12.3f}")
    return 0


def _print_memory(config: "ExperimentConfig", *, as_json: bool) -> int:
    from i2uv_jax.training.step_memory import step_memory

    memory = step_memory(config)
    numbers = {**dataclasses.asdict(memory), "activations": memory.activations,
               "total": memory.total}  # fmt: skip
    counts = {name: numbers.pop(name) for name in ("microbatch_size", "pictures_seen")}
    if as_json:
        print_json({"config": config.name, **counts, "bytes": numbers})
        return 0
    size, seen = counts.values()
    others = f" and {seen - size} without a right hand" if seen > size else ""
    print(f"{config.name}, one device, {size} pictures{others} at a time")
    for name, num_bytes in numbers.items():
        print(f"{name.replace('_', ' '):24}{num_bytes / 1e9:>10.3f} GB")
    return 0


def training_numbers(speed: "TrainingSpeed") -> dict:
    """The measurement in JSON's types; None for what this machine does not tell."""
    return {
        "batch": speed.batch_size,
        "images_per_second": round(speed.images_per_second, 2),
        "step_milliseconds": _spread(speed.step_seconds),
        "steps": len(speed.step_seconds),
        "data_wait_share": round(speed.data_wait_share, 4),
        "gigaflops_per_image": _scaled(speed.flops_per_image, 1e9),
        "utilisation": speed.utilisation and round(speed.utilisation, 4),
        "peak_teraflops": round(speed.peak_teraflops, 4),
        "peak_source": speed.peak_source,
        "compile_seconds": round(speed.compile_seconds, 2),
        "peak_device_megabytes": _scaled(speed.device_bytes, 1e6),
        "program_megabytes": _scaled(speed.program_bytes, 1e6),
        "peak_host_megabytes": _scaled(speed.host_bytes, 1e6),
    }


def _spread(seconds: tuple[float, ...]) -> dict[str, float]:
    """In milliseconds."""
    named = {"median": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds)}
    return {name: round(1000 * value, 2) for name, value in named.items()}


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 3)


def _print_table(numbers: dict) -> None:
    utilisation, peak = numbers["utilisation"], numbers["peak_teraflops"]
    rows = {
        "device": numbers["device"],
        "batch": f"{numbers['batch']} pictures of {numbers['image_size']} x "
        f"{numbers['image_size']}",
        "images per second": f"{numbers['images_per_second']:.1f}",
        "step": _in_words(numbers["step_milliseconds"], numbers["steps"]),
        "waiting for data": f"{numbers['data_wait_share']:.1%} of the time",
        "work per image": _with_unit(numbers["gigaflops_per_image"], "GFLOP, backwards included"),
        "utilisation": "unknown here"
        if utilisation is None
        else f"{utilisation:.1%} of {peak:.3g} TFLOP/s a device ({numbers['peak_source']})",
        "compiled in": f"{numbers['compile_seconds']:.1f} s",
        "peak device memory": _with_unit(numbers["peak_device_megabytes"], "MB"),
        "memory of the step": _with_unit(numbers["program_megabytes"], "MB"),
        "peak host memory": _with_unit(numbers["peak_host_megabytes"], "MB"),
    }
    if "torch_step_milliseconds" in numbers:
        theirs = numbers["torch_step_milliseconds"]
        ratio = numbers["step_milliseconds"]["median"] / theirs["median"]
        rows["PyTorch's step"] = _in_words(theirs, numbers["steps"])
        rows["step over PyTorch's"] = f"{ratio:.2f}"
    print(numbers["config"])
    for name, value in rows.items():
        print(f"{name:20}{value}")


def _in_words(spread: dict[str, float], num_steps: int) -> str:
    return (
        f"{spread['median']:.1f} ms (median of {num_steps}; {spread['fastest']:.1f} to "
        f"{spread['slowest']:.1f})"
    )


def _with_unit(value: float | None, unit: str) -> str:
    return "unknown here" if value is None else f"{value:.2f} {unit}"
