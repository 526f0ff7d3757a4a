"""`i2uv export`: a model as one file for other runtimes, compared with the original."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.argument_types import whole_number
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.output_folder import make_output_folder

if TYPE_CHECKING:
    from i2uv_jax.config import HandNetConfig
    from i2uv_jax.evaluate.rendered_crops import RenderedCrops
    from i2uv_jax.inference.predictor import Network

_DESCRIPTION = """Write a model as one file for another runtime, and compare the two on rendered
hands: distances between the vertices of their meshes, and how far the keypoints of either are from
the truth. Formats: stablehlo (jax.export; for CPU, CUDA and TPU), onnx and litert, the latter two
with an extra of their names. docs/export.md shows how to use the files without this package."""

NUM_CALIBRATION = 64
"""Rendered hands that int8's ranges are taken from."""

HANDS_SEED = 7
"""Decides which hands are rendered."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "export", help="write a model for other runtimes", description=_DESCRIPTION
    )
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument("--format", required=True, choices=("stablehlo", "onnx", "litert"))
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    parser.add_argument(
        "--int8",
        nargs="?",
        const="weights",
        choices=("weights", "convolutions"),
        help="litert only: store large layers' weights in int8, others' in float16, and compute in "
        "float (weights, the default), or compute large convolutions in int8",
    )
    parser.add_argument(
        "--fine",
        action="store_true",
        help="super-resolve the UV map to 256 x 256 texels, with the skin's relief, and let the "
        "file's tables give meshes of 51,136 triangles instead of 3,196",
    )
    parser.add_argument(
        "--compare",
        type=whole_number,
        default=16,
        metavar="N",
        help="rendered hands to compare on, for which the renderer is compiled; 0: none (16)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports and compares; returns the process's exit code."""
    from i2uv_jax.evaluate.rendered_crops import rendered_crops
    from i2uv_jax.hand.asset import load_hand
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.inference.export import export_model
    from i2uv_jax.inference.runtimes import open_content
    from i2uv_jax.models.joining import load_fine_model
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_picture_model

    if args.int8 is not None and args.format != "litert":
        raise CommandError(f"--int8: only the format litert has it, not {args.format}")
    if args.out.is_dir():
        raise CommandError(f"--out {args.out}: is a folder, expected a file")
    make_output_folder(args.out.parent)
    try:
        config, variables, _ = (
            load_fine_model(args.model) if args.fine else load_picture_model(find_model(args.model))
        )
        keep_compiled_programs()
        num_calibration = NUM_CALIBRATION if args.int8 == "convolutions" else 0
        num_drawn = args.compare + num_calibration
        crops = None
        if num_drawn:
            print(f"rendering {num_drawn} hands ...", file=sys.stderr, flush=True)
            crops = rendered_crops(config, num_drawn, HANDS_SEED)
        content = export_model(
            args.format, config, variables, load_hand(), args.model,
            int8=args.int8, fine_mesh=args.fine,
            calibration=crops[args.compare :].network_inputs if num_calibration else (),
        )  # fmt: skip
        network, _ = open_content(content)
    except ValueError as error:
        raise CommandError(error) from error
    try:
        write_atomically(args.out, content)
    except OSError as error:
        raise CommandError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    print(f"{args.out}: {len(content) / 1e6:.1f} MB")
    if args.compare:
        _compare(config, variables, network, crops[: args.compare])
    return 0


def _compare(
    config: "HandNetConfig", variables: dict, network: "Network", crops: "RenderedCrops"
) -> None:
    """Prints how far apart the two are, and their keypoints' errors."""
    from i2uv_jax.evaluate.runtime_agreement import (
        agreement,
        aligned_keypoint_error_mm,
        predict_crops,
    )

    ours, theirs = (predict_crops(config, variables, crops, runtime) for runtime in (None, network))
    distances = agreement(ours, theirs, crops)
    print(
        f"vertices against JAX on {len(crops)} rendered hands: mean difference "
        f"{distances.mean_mm:.4f} mm, largest {distances.largest_mm:.4f} mm"
    )
    errors = [aligned_keypoint_error_mm(found, crops) for found in (ours, theirs)]
    print(f"keypoints against the truth, aligned: {errors[1]:.2f} mm (JAX: {errors[0]:.2f} mm)")
