"""`i2uv bench train`: how fast a config trains on this machine."""

import argparse
import dataclasses
import json
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import CommandError
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
        "[--collectives N | --memory] [--json]",
        description=_DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--steps", type=positive_int, default=20, metavar="N", help="steps to time (20)"
    )
    instead = parser.add_mutually_exclusive_group()
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
            return _print_collectives(config, args)
        if args.memory:
            return _print_memory(config, as_json=args.json)

        import jax

        from i2uv_jax.training.benchmark import measure_training

        print(f"compiling and timing {config.name} ...", file=sys.stderr, flush=True)
        speed = measure_training(config, num_steps=args.steps)
    except ValueError as error:
        raise CommandError(error) from error
    device = jax.devices()[0]
    numbers = {
        "config": config.name,
        "device": f"{speed.num_devices} x {device.device_kind} ({device.platform})",
        "image_size": config.model.image_size,
        **training_numbers(speed),
    }
    if args.json:
        json.dump(numbers, sys.stdout, indent=1)
        print()
    else:
        _print_table(numbers)
    return 0


def _print_collectives(config: "ExperimentConfig", args: argparse.Namespace) -> int:
    # JAX reads both when it is first imported.
    os.environ["JAX_PLATFORMS"] = "cpu"
    flag = f"--xla_force_host_platform_device_count={args.collectives}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"

    from i2uv_jax.training.benchmark import step_collectives

    print(
        f"compiling {config.name} for {args.collectives} devices ...", file=sys.stderr, flush=True
    )
    train = dataclasses.replace(config.train, num_devices=args.collectives)
    found = step_collectives(dataclasses.replace(config, train=train))
    if args.json:
        rows = [dataclasses.asdict(one) for one in found]
        json.dump({"config": config.name, "devices": args.collectives, "collectives": rows},
                  sys.stdout, indent=1)  # fmt: skip
        print()
        return 0
    print(f"{config.name}, {args.collectives} devices, per step and device")
    print(f"{'kind':20}{'count':>8}{'megabytes':>12}")
    for one in found:
        print(f"{one.kind:20}{one.count:>8}{one.num_bytes / 1e6:>12.3f}")
    return 0


def _print_memory(config: "ExperimentConfig", *, as_json: bool) -> int:
    from i2uv_jax.training.benchmark import step_memory

    memory = step_memory(config)
    numbers = {**dataclasses.asdict(memory), "activations": memory.activations,
               "total": memory.total}  # fmt: skip
    microbatch_size = numbers.pop("microbatch_size")
    if as_json:
        json.dump({"config": config.name, "microbatch_size": microbatch_size, "bytes": numbers},
                  sys.stdout, indent=1)  # fmt: skip
        print()
        return 0
    print(f"{config.name}, one device, {microbatch_size} pictures at a time")
    for name, num_bytes in numbers.items():
        print(f"{name.replace('_', ' '):24}{num_bytes / 1e9:>10.3f} GB")
    return 0


def training_numbers(speed: "TrainingSpeed") -> dict:
    """The measurement in JSON's types; None for what this machine does not tell."""
    steps = [1000 * seconds for seconds in speed.step_seconds]
    return {
        "batch": speed.batch_size,
        "images_per_second": round(speed.images_per_second, 2),
        "step_milliseconds": {
            "median": round(statistics.median(steps), 2),
            "fastest": round(min(steps), 2),
            "slowest": round(max(steps), 2),
        },
        "steps": len(steps),
        "data_wait_share": round(speed.data_wait_share, 4),
        "gigaflops_per_image": _scaled(speed.flops_per_image, 1e9),
        "compile_seconds": round(speed.compile_seconds, 2),
        "peak_device_megabytes": _scaled(speed.device_bytes, 1e6),
        "program_megabytes": _scaled(speed.program_bytes, 1e6),
    }


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 3)


def _print_table(numbers: dict) -> None:
    step = numbers["step_milliseconds"]
    rows = {
        "device": numbers["device"],
        "batch": f"{numbers['batch']} pictures of {numbers['image_size']} x "
        f"{numbers['image_size']}",
        "images per second": f"{numbers['images_per_second']:.1f}",
        "step": f"{step['median']:.1f} ms (median of {numbers['steps']}; {step['fastest']:.1f} to "
        f"{step['slowest']:.1f})",
        "waiting for data": f"{numbers['data_wait_share']:.1%} of the time",
        "work per image": _with_unit(numbers["gigaflops_per_image"], "GFLOP, backwards included"),
        "compiled in": f"{numbers['compile_seconds']:.1f} s",
        "peak device memory": _with_unit(numbers["peak_device_megabytes"], "MB"),
        "memory of the step": _with_unit(numbers["program_megabytes"], "MB"),
    }
    print(numbers["config"])
    for name, value in rows.items():
        print(f"{name:20}{value}")


def _with_unit(value: float | None, unit: str) -> str:
    return "unknown here" if value is None else f"{value:.2f} {unit}"
