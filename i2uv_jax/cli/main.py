"""The `i2uv` command.

Exit codes: 0 all done; 1 some of it failed; 2 it could not start (usage, model, output folder);
130 interrupted by Ctrl-C, 143 by SIGTERM. JAX is imported inside the verbs' `run`, so that
`i2uv --help` answers at once.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from i2uv_jax.cli import bench, data, demo, eval, export, info, join, predict, track, train
from i2uv_jax.cli.device_failure import device_failure
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import exit_code_of

_VERBS = (demo, predict, track, info, export, train, join, eval, data, bench)


class _Parser(argparse.ArgumentParser):
    """Takes options by their whole names alone, as do the parsers of verbs, which are of its kind:
    what stood for one option would stand for none once another begins like it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="i2uv", description="3D hand meshes from single pictures. Try: i2uv demo --out out"
    )
    parser.add_argument("--version", action=_ShowVersion)
    subparsers = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in _VERBS:
        verb.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns the process's exit code.

    Raises:
      SystemExit: from argparse, after --help and --version or on wrong usage.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold bytes that are no UTF-8; as on stderr they end no run.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(build_parser().parse_args(argv))
    except BrokenPipeError:
        # The reader (`| head`) has gone; keep the interpreter from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _run(args: argparse.Namespace) -> int:
    try:
        return args.run(args)
    except CommandError as error:
        print(f"i2uv {args.verb}: error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        failure = device_failure(error)
        if failure is None:
            raise
        print(f"i2uv {args.verb}: error: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt as interruption:
        print(f"i2uv {args.verb}: interrupted", file=sys.stderr)
        return exit_code_of(interruption)


class _ShowVersion(argparse.Action):
    """Looks the version up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and stop")

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        import i2uv_jax

        print(f"i2uv {i2uv_jax.__version__}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
