"""`i2uv bench eval`: how long the evaluation of a benchmark takes once predictions exist."""

import argparse
import json

from i2uv_jax.cli.argument_types import positive_int

_DESCRIPTION = """Time the steps from a file of predictions in FreiHAND's format to the report, on
made-up hands with as many keypoints and vertices."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv bench`."""
    parser = verbs.add_parser(
        "eval", help="from predictions to a benchmark's report", description=_DESCRIPTION
    )
    parser.add_argument(
        "--count", type=positive_int, default=4000, metavar="N", help="hands (4000)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run_eval)


def run_eval(args: argparse.Namespace) -> int:
    """Measures and prints; returns the process's exit code."""
    from i2uv_jax.evaluate.benchmark_speed import evaluation_seconds

    seconds = evaluation_seconds(args.count)
    total = sum(seconds.values())
    if args.json:
        print(json.dumps({"hands": args.count, "seconds": seconds, "total_seconds": total}))
        return 0
    for name, value in seconds.items():
        print(f"{name:16}{value:8.2f} s")
    print(f"{args.count} hands {total:8.2f} s")
    return 0
