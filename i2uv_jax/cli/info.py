"""`i2uv info`: what a model consists of and costs."""

import argparse
import dataclasses
import json
import sys

from i2uv_jax.cli.failure import CommandError

PUBLISHED = "published"
"""Name of the network as published (ResNet-50, 256 x 256, SRNet), which ships without weights."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "info",
        help="show a model's parts, parameters and FLOPs",
        description="Show a model's parameters and floating-point operations, part by part.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="small",
        help=f"a shipped model, a model file, or {PUBLISHED!r} for the published network (small)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the table or the JSON; returns the process's exit code."""
    from i2uv_jax.config import HandNetConfig
    from i2uv_jax.models.complexity import model_complexity, total_complexity
    from i2uv_jax.models.model_files import find_model
    from i2uv_jax.models.weights import load_model_file

    try:
        if args.model == PUBLISHED:
            config, card = HandNetConfig(), {}
        else:
            config, _, card = load_model_file(find_model(args.model))
    except ValueError as error:
        raise CommandError(error) from error
    parts = model_complexity(config)
    total = total_complexity(parts)
    if args.json:
        described = {
            "model": args.model,
            "parameters": total.parameters,
            "flops": total.flops,
            "flops_per_image": total.flops * config.looks,
            "parts": [dataclasses.asdict(part) for part in parts],
            "image_size": config.image_size,
            "looks": config.looks,
            "uv_map_size": config.uv_map_size,
            "config": dataclasses.asdict(config),
            "card": card,
        }
        json.dump(described, sys.stdout, indent=1)
        print()
        return 0
    given = "SRNet alone"
    if config.affine is not None:
        given = (
            f"{config.affine.encoder}, pictures of {config.crop_size} x {config.crop_size} pixels"
        )
    if config.looks > 1:
        given += f" looked at {config.looks} times in {config.image_size} x {config.image_size}"
    print(f"{args.model}: {given}, UV maps of {config.uv_map_size} x {config.uv_map_size} texels")
    print(f"{'part':24}{'parameters':>14}{'GFLOP / look':>16}")
    for part in (*parts, total):
        print(f"{part.part:24}{part.parameters:>14,}{part.flops / 1e9:>16.3f}")
    if config.looks > 1:
        per_image = total.flops * config.looks / 1e9
        print(f"{f'image, {config.looks} looks':24}{'':14}{per_image:>16.3f}")
    for name, value in card.items():
        print(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
    return 0
