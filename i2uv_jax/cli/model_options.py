"""Which model a verb runs on pictures, and on what: the options, and their predictor."""

import argparse
import sys
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import CommandError

if TYPE_CHECKING:
    from i2uv_jax.inference.predictor import Predictor


def add_model_options(parser: argparse.ArgumentParser, pictures: str) -> None:
    """Adds `--model`, `--batch` and `--backend`; `pictures` is what a batch is made of."""
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument(
        "--batch", type=positive_int, default=8, metavar="N", help=f"{pictures} at a time (8)"
    )
    parser.add_argument(
        "--backend",
        default="auto",
        choices=("auto", "xla", "onnx", "litert"),
        help="what runs the network: auto takes the fastest that is installed (auto)",
    )


def open_predictor(args: argparse.Namespace, batch_size: int, *, fine: bool = False) -> "Predictor":
    """The model that the options name; says on stderr if "auto" does not take XLA at once.

    Args:
      fine: see `load_model`; "auto" is XLA then, the fastest for such large maps.

    Raises:
      CommandError: there is no such model, its file is damaged, or the backend is not installed or
        cannot compute it.
    """
    from i2uv_jax.inference.backends import load_fastest, load_with_backend

    wanted = "xla" if fine and args.backend == "auto" else args.backend
    try:
        if wanted != "auto":
            return load_with_backend(args.model, wanted, batch_size=batch_size, fine=fine)
        predictor, backend = load_fastest(args.model, batch_size=batch_size)
    except ValueError as error:
        raise CommandError(error) from error
    if backend != "xla":
        print(f"backend: {backend}", file=sys.stderr)
    return predictor
