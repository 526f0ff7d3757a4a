"""`i2uv join`: an AffineNet and an SRNet that were trained apart, in one model file."""

import argparse
from pathlib import Path

from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.output_folder import make_output_folder


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "join",
        help="put an AffineNet and an SRNet into one model file",
        description="Put one model's AffineNet and another's SRNet into one model file; what else "
        "the two hold is left out.",
    )
    parser.add_argument("affine", metavar="AFFINE", help="a model file, or a shipped model's name")
    parser.add_argument(
        "sr", metavar="SR", help="likewise, such as fine; configs/fine.py trains one"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the file; returns the process's exit code."""
    from i2uv_jax.models.joining import join_models
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_model_file, save_model

    make_output_folder(args.out.parent)
    try:
        models = [load_model_file(find_model(name)) for name in (args.affine, args.sr)]
        config, variables, card = join_models(*models)
    except ValueError as error:
        raise CommandError(f"{args.affine}, {args.sr}: {error}") from error
    try:
        save_model(args.out, config, variables, card)
    except OSError as error:
        raise CommandError(f"{args.out}: {error.strerror or error}", EXIT_FAILED) from error
    print(f"wrote {args.out}")
    return 0
