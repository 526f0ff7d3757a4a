"""`i2uv export`: a model as one file for other runtimes, compared with the original."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import CommandError

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.config import HandNetConfig
    from i2uv_jax.inference.predictor import Network

_DESCRIPTION = """Write a model as one file for another runtime, and compare the two on rendered
hands: distances between the vertices of their meshes, and how far the keypoints of either are from
the truth. Formats: stablehlo (jax.export; for CPU, CUDA and TPU), onnx and litert, the latter two
with an extra of their names. docs/export.md shows how to use the files without this package."""

_NUM_CALIBRATION = 64
"""Rendered hands that int8's ranges are taken from."""

_TRUE_MM = "true_mm"


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
        help="litert only: store the weights in int8 and compute in float (weights, the default), "
        "or compute the convolutions in int8",
    )
    parser.add_argument(
        "--compare", type=positive_int, default=16, metavar="N", help="hands to compare on (16)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports and compares; returns the process's exit code."""
    from i2uv_jax.hand.asset import load_hand
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.inference.export import export_model
    from i2uv_jax.inference.runtimes import open_content
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_picture_model

    if args.int8 is not None and args.format != "litert":
        raise CommandError(f"--int8: only the format litert has it, not {args.format}")
    if not args.out.parent.is_dir() or args.out.is_dir():
        raise CommandError(f"--out {args.out}: expected a file in a folder that exists")
    try:
        config, variables, _ = load_picture_model(find_model(args.model))
        keep_compiled_programs()
        hand = load_hand()
        num_drawn = args.compare + (_NUM_CALIBRATION if args.int8 == "convolutions" else 0)
        print(f"rendering {num_drawn} hands ...", file=sys.stderr, flush=True)
        hands = _rendered_hands(config, num_drawn)
        content = export_model(
            args.format, config, variables, hand, args.model,
            int8=args.int8, calibration=hands[args.compare :],
        )  # fmt: skip
        network, _ = open_content(content)
    except ValueError as error:
        raise CommandError(error) from error
    try:
        write_atomically(args.out, content)
    except OSError as error:
        raise CommandError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    print(f"{args.out}: {len(content) / 1e6:.1f} MB")
    _compare(config, variables, network, hands[: args.compare])
    return 0


def _rendered_hands(config: "HandNetConfig", count: int) -> "list[dict[str, np.ndarray]]":
    """Inputs of a network: right hands as the training pictures show them, and the true keypoints
    of every other one; and all true ones in millimetres."""
    import jax
    import numpy as np

    from i2uv_jax.config import RenderConfig
    from i2uv_jax.data.generator import HandGenerator
    from i2uv_jax.geometry.camera import to_crop_space
    from i2uv_jax.geometry.keypoints import WRIST
    from i2uv_jax.hand.asset import load_hand
    from i2uv_jax.inference.export import IMAGE, KEYPOINTS

    batch_size = min(count, 8)
    render = RenderConfig(image_size=config.crop_size, uv_map_size=16)
    generator = HandGenerator(render, load_hand(), batch_size)
    hands = []
    for key in jax.random.split(jax.random.key(7), -(-count // batch_size)):
        batch = generator(key)
        keypoints = np.array(
            to_crop_space(batch.camera, batch.keypoints, batch.keypoints[:, WRIST, 2])
        )
        keypoints[1::2] = np.nan
        crops = np.round(255 * np.asarray(batch.image)).astype(np.uint8)
        true_mm = 1000 * np.asarray(batch.keypoints)
        hands += [
            {IMAGE: crop, KEYPOINTS: told, _TRUE_MM: true}
            for crop, told, true in zip(crops, keypoints, true_mm, strict=True)
        ]
    return hands[:count]


def _compare(
    config: "HandNetConfig",
    variables: dict,
    network: "Network",
    hands: "list[dict[str, np.ndarray]]",
) -> None:
    """Prints how far apart the two are, each mesh in its own size from its wrist on, and their
    keypoints' errors."""
    import numpy as np

    from i2uv_jax.inference.export import IMAGE, KEYPOINTS
    from i2uv_jax.inference.predictor import Predictor
    from i2uv_jax.metrics import aligned_position_error

    crops = [hand[IMAGE] for hand in hands]
    told = {}
    if config.takes_keypoints:
        told["keypoints"] = [config.crop_size * hand[KEYPOINTS] for hand in hands]
    ours, theirs = (
        Predictor(config, variables, batch_size=8, network=runtime)(crops, **told)
        for runtime in (None, network)
    )
    distances = np.linalg.norm(ours.vertices_mm - theirs.vertices_mm, axis=-1)
    print(
        f"vertices against JAX on {len(hands)} rendered hands: mean difference "
        f"{distances.mean():.4f} mm, largest {distances.max():.4f} mm"
    )
    true_mm = np.array([hand[_TRUE_MM] for hand in hands])
    errors = [
        float(aligned_position_error(found.keypoints_3d_mm, true_mm).mean())
        for found in (ours, theirs)
    ]
    print(f"keypoints against the truth, aligned: {errors[1]:.2f} mm (JAX: {errors[0]:.2f} mm)")
