"""`i2uv info`: what a model consists of and costs, on the terminal or as a card."""

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.json_text import json_text, print_json

if TYPE_CHECKING:
    from i2uv_jax.evaluate.model_card import DescribedModel, FinishedEvaluation

PUBLISHED = "published"
"""Name of the network as published (ResNet-50, 256 x 256, SRNet), which ships without weights."""

_LICENCE = "Apache-2.0, as the package; what the weights were trained on: NOTICE"
_LIMITS_SUFFIX = ".limits.md"

_DESCRIPTION = """Show a model's parameters and floating-point operations, part by part. With --card
write its model card instead: what the file says of its training, the results of the evaluations
that are named, and the text of MODEL.limits.md beside the model's file."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "info",
        help="show a model's parts, parameters and FLOPs",
        description=_DESCRIPTION,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="small",
        help=f"a shipped model, a model file, or {PUBLISHED!r} for the published network (small)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    form.add_argument("--card", type=Path, metavar="FILE.md", help="write the model's card")
    parser.add_argument(
        "--evaluation",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="with --card: what `i2uv eval` wrote of this model, or of its detector",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the table or the JSON, or writes the card; returns the process's exit code."""
    if args.card is not None:
        return _write_card(args.card, args.model, args.evaluation)
    if args.evaluation:
        raise CommandError("--evaluation only goes with --card")
    from i2uv_jax.config import HandNetConfig
    from i2uv_jax.models.complexity import (
        flops_per_picture,
        model_complexity,
        total_complexity,
    )
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
            "flops_per_image": flops_per_picture(parts, config.looks),
            "parts": [dataclasses.asdict(part) for part in parts],
            "image_size": config.image_size,
            "looks": config.looks,
            "uv_map_size": config.uv_map_size,
            "config": dataclasses.asdict(config),
            "card": card,
        }
        print_json(described)
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
        per_image = flops_per_picture(parts, config.looks) / 1e9
        print(f"{f'image, {config.looks} looks':24}{'':14}{per_image:>16.3f}")
    for name, value in card.items():
        print(f"{name}: {value if isinstance(value, str) else json_text(value)}")
    return 0


def _write_card(path: Path, model_name: str, evaluation_folders: list[Path]) -> int:
    from i2uv_jax.evaluate.model_card import model_card, read_evaluation

    try:
        model = _described(model_name)
        evaluations = [read_evaluation(folder, model.fingerprint) for folder in evaluation_folders]
        names = [folder.resolve().name for folder in evaluation_folders]
        if len(set(names)) < len(names):
            raise ValueError(f"--evaluation: expected folders of different names, got {names}")
        # Only if all is well a file is written or a picture copied.
        model_card(model, evaluations)
        evaluations = [_with_worst(one, path) for one in evaluations]
        write_atomically(path, model_card(model, evaluations).encode())
    except ValueError as error:
        raise CommandError(error) from error
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}", EXIT_FAILED) from error
    print(f"wrote {path}")
    return 0


def _described(name: str) -> "DescribedModel":
    from i2uv_jax.evaluate.model_card import DescribedModel
    from i2uv_jax.models.complexity import model_complexity
    from i2uv_jax.models.model_files import WEIGHTS_DIRECTORY, file_fingerprint, find_model
    from i2uv_jax.models.weights import load_model_file

    if name == PUBLISHED:
        raise ValueError(f"--card: {PUBLISHED} has no weights to write a card of")
    path = find_model(name)
    config, _, card = load_model_file(path)
    limits = path.with_suffix(_LIMITS_SUFFIX)
    is_shipped = path.resolve().parent == WEIGHTS_DIRECTORY.resolve()
    return DescribedModel(
        name=card.get("name", path.stem),
        config=config,
        card=card,
        parts=model_complexity(config),
        num_bytes=path.stat().st_size,
        fingerprint=file_fingerprint(path),
        licence=_LICENCE if is_shipped else None,
        limits=limits.read_text(encoding="utf-8") if limits.exists() else None,
    )


def _with_worst(one: "FinishedEvaluation", card: Path) -> "FinishedEvaluation":
    """The evaluation with a link to its worst hands: to a copy beside the card of generated ones,
    to photos, which may not be free to copy, where they are."""
    worst = one.folder / "worst.png"
    if not worst.exists():
        return one
    if not one.is_of_generated_pictures:
        link = Path(os.path.relpath(worst, card.parent)).as_posix()
        return dataclasses.replace(one, worst=link)
    copy = card.with_name(f"{card.stem}_{one.folder.resolve().name}_worst.png")
    write_atomically(copy, worst.read_bytes())
    return dataclasses.replace(one, worst=copy.name)
