"""`i2uv bench infer`: how fast a model runs on this machine, and how near to what it could do."""

import argparse
import datetime
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.info import PUBLISHED
from i2uv_jax.cli.interruption import InterruptWatch

if TYPE_CHECKING:
    from i2uv_jax.config import HandNetConfig
    from i2uv_jax.inference.benchmark import PartSpeed
    from i2uv_jax.measuring.device_peaks import Peaks

_DESCRIPTION = """Compile a model for each batch size, warm up, and time its parts and the whole,
waiting for every call. Shares are of the device's peak (a table, or measured here) and of its
roofline: the time that arithmetic or memory traffic takes at least, over the time taken."""

_PIECES = ("encoder", "decoder", "SRNet", "mesh")

_VERSIONS = ("i2uv-jax", "jax", "jaxlib", "flax", "numpy", "torch", "onnxruntime", "ai-edge-litert")


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds `infer` to the verbs of `i2uv bench`."""
    parser = verbs.add_parser("infer", help="speed of a model", description=_DESCRIPTION)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--model",
        default="small",
        metavar="NAME|PATH",
        help=f"a shipped model, a file, or {PUBLISHED!r}: the published network, random weights "
        "(small)",
    )
    source.add_argument("--config", type=Path, metavar="FILE", help="its model, random weights")
    parser.add_argument(
        "--batch", type=positive_int, nargs="+", default=[1, 8], metavar="N", help="sizes (1 8)"
    )
    parser.add_argument(
        "--dtype",
        default="default",
        choices=("default", "float32", "tf32", "bfloat16"),
        help="how to compute; default: the model's dtype at the device's precision",
    )
    parser.add_argument(
        "--backend",
        nargs="+",
        default=["xla"],
        choices=("xla", "onnx", "litert"),
        help="runtimes to time, one after the other (xla)",
    )
    parser.add_argument("--vs", choices=("torch",), help="time PyTorch in the same run")
    parser.add_argument("--runs", type=positive_int, default=30, metavar="N", help="calls (30)")
    parser.add_argument(
        "--parts", action=argparse.BooleanOptionalAction, default=True, help="time parts, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the process's exit code."""
    import jax

    from i2uv_jax.inference.program import inference_config
    from i2uv_jax.measuring.device_peaks import measured_peaks, peaks_of, precision_of
    from i2uv_jax.models.complexity import flops_per_picture, model_complexity

    with InterruptWatch() as watch:
        name, config, variables = _model(args.config, args.model)
        config = inference_config(config, args.dtype)
        device = jax.devices()[0]
        precision = args.dtype
        if precision == "default":
            precision = precision_of(config.dtype, device.platform)
        peaks = peaks_of(device.device_kind, precision) or measured_peaks(precision)
        flops = flops_per_picture(model_complexity(config), config.looks)
        print(f"{name}: {flops / 1e9:.2f} GFLOP an image, {config.crop_size} x "
              f"{config.crop_size} pixels, {args.dtype}, median of {args.runs} calls")  # fmt: skip
        print(f"{jax.local_device_count()} x {device.device_kind} ({device.platform}); peak of one "
              f"{peaks.teraflops[precision]:.3g} TFLOP/s {precision}, "
              f"{peaks.gigabytes_per_second:.4g} GB/s ({peaks.source})")  # fmt: skip
        print(_HEADINGS, flush=True)
        rows = []
        try:
            with device_mishaps(f"the device failed on {name}"):
                for speed in _speeds(args, config, variables, flops):
                    watch.check()
                    rows.append(_numbers(speed, peaks, precision))
                    print(_line(rows[-1]), flush=True)
        except ValueError as error:
            raise CommandError(error) from error
    for row in rows:
        if row["batch"] == 1 and row["part"] not in _PIECES:
            p50, p95, p99 = (row["milliseconds"][name] for name in ("p50", "p95", "p99"))
            print(f"{row['part']}, batch 1: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms")
    if args.json is not None:
        described = {
            "model": name,
            "date": datetime.date.today().isoformat(),
            "device": f"{jax.local_device_count()} x {device.device_kind} ({device.platform})",
            "versions": dict(_versions()),
            "dtype": args.dtype,
            "peaks": {"teraflops": peaks.teraflops[precision], "precision": precision,
                      "gigabytes_per_second": peaks.gigabytes_per_second, "source": peaks.source},
            "gigaflops_per_image": flops / 1e9,
            "rows": rows,
        }  # fmt: skip
        try:
            write_atomically(args.json, (json.dumps(described, indent=1) + "\n").encode())
        except OSError as error:
            raise CommandError(
                f"--json {args.json}: cannot be written ({error.strerror})"
            ) from error
    return 0


def _model(config_path: Path | None, model: str) -> tuple[str, "HandNetConfig", dict]:
    """What to call it, and with which weights to run it; a config goes before a model."""
    from i2uv_jax.config import ExperimentConfig, HandNetConfig
    from i2uv_jax.config_io import load_config
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.random_weights import random_variables
    from i2uv_jax.models.weights import load_picture_model

    try:
        if config_path is not None:
            experiment = load_config(config_path, ExperimentConfig)
            name, config = experiment.name, experiment.model
        elif model == PUBLISHED:
            name, config = PUBLISHED, HandNetConfig()
        else:
            config, variables, _ = load_picture_model(find_model(model))
            return model, config, variables
    except ValueError as error:
        raise CommandError(error) from error
    return f"{name}, random weights", config, random_variables(config)


def _speeds(args, config, variables, flops) -> Iterator["PartSpeed"]:
    from i2uv_jax.inference.benchmark import measure_backend, measure_network

    if args.vs == "torch":  # said before anything is measured
        try:
            from i2uv_jax.inference.torch_network import MODES, torch_network
        except ImportError as error:
            raise CommandError(f"--vs torch: needs the extra `bench` ({error})") from error

    for backend in args.backend:
        yield from measure_backend(
            backend,
            config,
            variables,
            args.batch,
            precision=args.dtype,
            num_runs=args.runs,
            with_parts=args.parts,
        )
    if args.vs == "torch":
        for mode in MODES:
            network = torch_network(config, variables, mode, args.dtype)
            name = f"torch {mode}"
            yield from measure_network(name, network, config, flops, args.batch, num_runs=args.runs)


_HEADINGS = (
    f"{'part':20}{'batch':>6}{'ms':>10}{'fastest':>9}{'slowest':>9}{'images/s':>10}{'TFLOP/s':>9}"
    f"{'peak':>7}{'roofline':>10}{'MB':>8}{'compile s':>11}{'first s':>9}"
)


def _numbers(speed: "PartSpeed", peaks: "Peaks", precision: str) -> dict:
    milliseconds = [1000 * seconds for seconds in speed.runs.seconds]
    roofline = speed.share_of_roofline(peaks, precision)
    return {
        "part": speed.part,
        "batch": speed.batch_size,
        "devices": speed.num_devices,
        "milliseconds": {
            "fastest": round(min(milliseconds), 4),
            **{f"p{p}": round(1000 * speed.runs.percentile(p), 4) for p in (50, 95, 99)},
            "slowest": round(max(milliseconds), 4),
        },
        "images_per_second": round(speed.images_per_second, 3),
        "teraflops": round(speed.teraflops, 5),
        "share_of_peak": round(speed.share_of_peak(peaks, precision), 4),
        "share_of_roofline": None if roofline is None else round(roofline, 4),
        "program_megabytes": _rounded(speed.program_bytes, 1e6),
        "compile_seconds": _rounded(speed.compile_seconds),
        "first_call_seconds": _rounded(speed.first_call_seconds),
    }


def _rounded(value: float | None, unit: float = 1.0) -> float | None:
    return None if value is None else round(value / unit, 3)


def _line(row: dict) -> str:
    """One row of the table; a dash for what is not known."""

    def cell(value: float | None, width: int, form: str) -> str:
        return f"{'-' if value is None else format(value, form):>{width}}"

    milliseconds = row["milliseconds"]
    return (
        f"{row['part']:20}{row['batch']:>6}{milliseconds['p50']:>10.2f}"
        f"{milliseconds['fastest']:>9.2f}{milliseconds['slowest']:>9.2f}"
        f"{row['images_per_second']:>10.1f}{row['teraflops']:>9.3f}{row['share_of_peak']:>7.1%}"
        + cell(row["share_of_roofline"], 10, ".1%")
        + cell(row["program_megabytes"], 8, ".0f")
        + cell(row["compile_seconds"], 11, ".2f")
        + cell(row["first_call_seconds"], 9, ".2f")
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in _VERSIONS:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
