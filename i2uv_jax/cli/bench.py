"""`i2uv bench`: how fast things are on this machine, and how near exports come."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from i2uv_jax.cli import bench_eval, bench_export, bench_infer, bench_predict, bench_train
from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.json_text import print_json
from i2uv_jax.cli.rendering import add_render_options, experiment_config, rendering_mishaps

if TYPE_CHECKING:
    from i2uv_jax.data.benchmark import Part, Speed

_DATA_DESCRIPTION = """Time the renderer that training pictures come from, after warming up. Then
find where the time goes by leaving out one part after the other; each rest is compiled anew, which
takes minutes on a CPU. With --config, sizes and batch are those of that training run."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "bench",
        help="measure speed and exports",
        description="Measure speed, and how near exports come to their model.",
    )
    verbs = parser.add_subparsers(title="verbs", dest="bench_verb", metavar="VERB", required=True)
    data = verbs.add_parser(
        "data", help="speed of the generator of pictures", description=_DATA_DESCRIPTION
    )
    data.add_argument(
        "--size", type=positive_int, metavar="S", help="side of the pictures in pixels (128)"
    )
    data.add_argument(
        "--runs", type=positive_int, default=10, metavar="N", help="batches to time (10)"
    )
    data.add_argument(
        "--parts",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also find out where the time goes",
    )
    data.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_render_options(data)
    data.set_defaults(run=run_data)
    bench_train.add_parser(verbs)
    bench_infer.add_parser(verbs)
    bench_predict.add_parser(verbs)
    bench_eval.add_parser(verbs)
    bench_export.add_parser(verbs)


def run_data(args: argparse.Namespace) -> int:
    """Measures and prints; returns the process's exit code."""
    with InterruptWatch() as watch, rendering_mishaps():
        experiment = experiment_config(args)
        render, batch_size = experiment.render, args.batch or 16
        if args.config is not None:
            render = dataclasses.replace(
                render,
                image_size=experiment.model.image_size,
                uv_map_size=experiment.model.uv_map_size,
            )
            batch_size = args.batch or experiment.train.batch_size
        if args.size is not None:
            render = dataclasses.replace(render, image_size=args.size)

        import jax

        from i2uv_jax.data.benchmark import measure_parts, measure_speed
        from i2uv_jax.hand.asset import load_hand
        from i2uv_jax.measuring.timing import peak_host_bytes
        from i2uv_jax.ops.cpu_devices import split_cpu

        split_cpu(batch_size)

        def on_progress(name: str) -> None:
            watch.check()
            print(f"measuring: {name} ...", file=sys.stderr, flush=True)

        on_progress("all")
        hand = load_hand()
        speed = measure_speed(render, hand, batch_size, num_runs=args.runs)
        # Before the parts: their programs would add to it.
        peak_bytes = peak_host_bytes()
        parts = (
            measure_parts(render, speed, hand, num_runs=args.runs, on_progress=on_progress)
            if args.parts
            else []
        )
    device = jax.devices()[0]
    described = {
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "batch": batch_size,
        "image_size": render.image_size,
        "uv_map_size": render.uv_map_size,
        **_speed_numbers(speed, peak_bytes),
        "milliseconds_per_image": {p.name: round(p.milliseconds_per_image, 4) for p in parts},
    }
    if args.json:
        print_json(described)
    else:
        _print_table(described, speed, parts)
    return 0


def _speed_numbers(speed: "Speed", peak_bytes: int) -> dict:
    low, median, high = speed.images_per_second
    return {
        "images_per_second": {
            "median": round(median, 2),
            "slowest": round(low, 2),
            "fastest": round(high, 2),
        },
        "runs": len(speed.batch_seconds),
        "compile_seconds": round(speed.compile_seconds, 2),
        "peak_host_megabytes": round(peak_bytes / 1e6),
        "working_megabytes": None
        if speed.device_bytes is None
        else round(speed.device_bytes / 1e6, 1),
    }


def _print_table(described: dict, speed: "Speed", parts: list["Part"]) -> None:
    rate = described["images_per_second"]
    size, uv_size = described["image_size"], described["uv_map_size"]
    print(
        f"{described['device']}: batches of {described['batch']}, pictures of {size} x {size}, "
        f"UV maps of {uv_size} x {uv_size}"
    )
    print(
        f"{rate['median']:.1f} images per second (median of {described['runs']} runs; "
        f"{rate['slowest']:.1f} to {rate['fastest']:.1f})"
    )
    print(f"compiled in {described['compile_seconds']:.1f} s")
    print(f"peak memory of the process {described['peak_host_megabytes']} MB", end="")
    working = described["working_megabytes"]
    print("" if working is None else f"; working memory of the program {working} MB")
    if not parts:
        return
    total = 1000 * speed.median_seconds / speed.batch_size
    print(f"{'part':34}{'ms / image':>12}{'share':>8}")
    for part in parts:
        ms = part.milliseconds_per_image
        print(f"{part.name:34}{ms:>12.2f}{ms / total:>8.0%}")
    print(f"{'all':34}{total:>12.2f}{1:>8.0%}")
