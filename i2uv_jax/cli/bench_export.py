"""`i2uv bench export`: how near every export of a model is to the model itself."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int, seed
from i2uv_jax.cli.export import HANDS_SEED, NUM_CALIBRATION
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.json_text import print_json

if TYPE_CHECKING:
    from i2uv_jax.evaluate.export_benchmark import MeasuredExport

_DESCRIPTION = """Export a model in every way that the installed extras allow, and compare each file
with JAX on the same rendered hands, every other one with its true keypoints told: distances between
the vertices of their meshes, and how far the keypoints are from the truth. No file is kept. Prints
a Markdown table, that of docs/export.md."""

_HEADINGS = ("file", "size", "batch", "mean difference", "aim", "keypoints told", "none told",
             "largest", "off the truth")  # fmt: skip


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds `export` to the verbs of `i2uv bench`."""
    parser = verbs.add_parser(
        "export", help="exports of a model against JAX", description=_DESCRIPTION
    )
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument(
        "--compare", type=positive_int, default=128, metavar="N", help="hands to compare on (128)"
    )
    parser.add_argument(
        "--seed", type=seed, default=HANDS_SEED, metavar="S", help=f"of the hands ({HANDS_SEED})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports, compares and prints; returns the process's exit code."""
    try:
        with InterruptWatch() as watch:
            described = _measured(args.model, args.compare, args.seed, watch)
    except ValueError as error:
        raise CommandError(error) from error
    except RuntimeError as error:  # XLA: out of memory, or a device that failed.
        raise CommandError(str(error).splitlines()[0], EXIT_FAILED) from error
    for titles, reason in _by_reason(described["left_out"]):
        print(f"left out: {'; '.join(titles)}: {reason}", file=sys.stderr)
    if args.json:
        print_json(described)
    else:
        _print_table(described)
    return 0


def _measured(model: str, num_compared: int, seed: int, watch: InterruptWatch) -> dict:
    """All numbers, in JSON's types."""
    from i2uv_jax.evaluate.export_benchmark import measure_exports
    from i2uv_jax.evaluate.rendered_crops import rendered_crops
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_picture_model

    def on_progress(what: str) -> None:
        watch.check()
        print(f"{what} ...", file=sys.stderr, flush=True)

    config, variables, _ = load_picture_model(find_model(model))
    keep_compiled_programs()
    num_drawn = num_compared + NUM_CALIBRATION
    on_progress(f"rendering {num_drawn} hands")
    drawn = rendered_crops(config, num_drawn, seed)
    crops, calibration = drawn[:num_compared], drawn[num_compared:]
    measured = measure_exports(
        config, variables, model, crops, calibration, on_progress=on_progress
    )
    return {
        "model": model,
        "hands": len(crops),
        "hands_with_keypoints_told": int(crops.is_told.sum()),
        "seed": seed,
        "jax_error_mm": measured.error_mm,
        "exports": [_numbers(one) for one in measured.exports],
        "left_out": measured.left_out,
    }


def _numbers(measured: "MeasuredExport") -> dict:
    return {
        "file": measured.kind.title,
        "megabytes": round(measured.num_bytes / 1e6, 3),
        "batch": measured.batch_size,
        **dataclasses.asdict(measured.agreement),
        "aim_mm": measured.kind.aim_mm,
        "error_mm": measured.error_mm,
    }


def _by_reason(left_out: dict[str, str]) -> list[tuple[list[str], str]]:
    """A missing extra takes several exports with it, but is one line."""
    titles: dict[str, list[str]] = {}
    for title, reason in left_out.items():
        titles.setdefault(reason, []).append(title)
    return [(those, reason) for reason, those in titles.items()]


def _print_table(described: dict) -> None:
    from i2uv_jax.evaluate.markdown import markdown_table

    print(
        f"{described['model']}, {described['hands']} rendered hands, keypoints told of "
        f"{described['hands_with_keypoints_told']}; JAX itself is off by "
        f"{described['jax_error_mm']:.2f} mm\n"
    )
    rows = [
        (
            row["file"],
            f"{row['megabytes']:.1f} MB",
            "any" if row["batch"] is None else str(row["batch"]),
            _millimetres(row["mean_mm"]),
            f"< {_millimetres(row['aim_mm'])}",
            _millimetres(row["told_mean_mm"]),
            _millimetres(row["untold_mean_mm"]),
            _millimetres(row["largest_mm"]),
            f"{row['error_mm']:.2f} mm",
        )
        for row in described["exports"]
    ]
    print(markdown_table(_HEADINGS, rows, is_padded=True))


def _millimetres(value: float | None) -> str:
    """To two digits that count, as a decimal fraction however small."""
    import numpy as np

    if value is None:
        return "-"
    return f"{np.format_float_positional(value, precision=2, fractional=False, trim='-')} mm"
