"""`i2uv data`: looking at generated pictures, measuring and storing them; registering scans."""

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli import data_build, register
from i2uv_jax.cli.argument_types import positive_int, seed
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.json_text import print_json
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.rendering import (
    BATCH_SIZE,
    add_render_options,
    picture_config,
    progress_bar,
    rendering_mishaps,
)

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.config import RenderConfig

_STATS_DESCRIPTION = """Compare generated with real pictures: colours, gradients, spectra. For each
statistic the means over pictures; the distance of the two distributions over pictures, in standard
deviations of the real ones; and the distance that chance alone would rarely pass."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "data",
        help="look at, measure or store generated pictures; fit the hand to scans",
        description="Look at, measure or store what training is made of.",
    )
    verbs = parser.add_subparsers(title="verbs", dest="data_verb", metavar="VERB", required=True)
    _add_sheet(verbs)
    _add_stats(verbs)
    data_build.add_parser(verbs)
    register.add_parser(verbs)


def run_sheet(args: argparse.Namespace) -> int:
    """Renders and writes the sheet; returns the process's exit code."""
    if args.out.suffix.lower() != ".png":
        raise CommandError(f"--out {args.out}: expected a file name that ends in .png")
    config = picture_config(args)
    from i2uv_jax.atomic_file import write_atomically
    from i2uv_jax.viewing.contact_sheet import contact_sheet
    from i2uv_jax.viewing.png import png_bytes

    make_output_folder(args.out.parent)
    sheet = contact_sheet(_render(config, args.seed, args.count, args.batch))
    try:
        write_atomically(args.out, png_bytes(sheet))
    except OSError as error:
        raise CommandError(
            f"--out {args.out}: cannot be written ({error.strerror})", EXIT_FAILED
        ) from error
    print(f"{args.count} pictures of {config.image_size} x {config.image_size}: {args.out}")
    return 0


def run_stats(args: argparse.Namespace) -> int:
    """Prints the table or the JSON; returns the process's exit code."""
    config = picture_config(args)
    from i2uv_jax.data.real_pictures import read_real_pictures
    from i2uv_jax.data.statistics import MIN_SIDE_PX, compare

    if args.count < 2:
        raise CommandError(f"--count {args.count}: statistics need at least 2 pictures")
    if config.image_size < MIN_SIDE_PX:
        raise CommandError(f"--size {config.image_size}: expected at least {MIN_SIDE_PX}")
    try:
        real = read_real_pictures(args.real, config.image_size)
        if len(real) < 2:
            raise ValueError(f"{args.real}: statistics need at least 2 pictures, got 1")
    except ValueError as error:
        raise CommandError(error) from error
    generated = _render(config, args.seed, args.count, args.batch)
    rows = compare(generated / 255, real / 255)
    if args.json:
        described = {
            "size": config.image_size,
            "generated_pictures": len(generated),
            "real_pictures": len(real),
            "statistics": [dataclasses.asdict(row) for row in rows],
        }
        print_json(described)
        return 0
    print(
        f"{len(generated)} generated and {len(real)} real pictures "
        f"of {config.image_size} x {config.image_size}"
    )
    print(f"{'statistic':42}{'generated':>10}{'real':>10}{'distance':>10}{'by chance':>11}")
    for row in rows:
        print(
            f"{f'{row.group}: {row.name}':42}{row.generated:>10.4f}{row.real:>10.4f}"
            f"{row.distance:>10.2f}{row.chance:>11.2f}"
        )
    for group in dict.fromkeys(row.group for row in rows):
        distances = [row.distance for row in rows if row.group == group]
        print(f"mean distance, {group}: {sum(distances) / len(distances):.2f}")
    return 0


def _add_sheet(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "sheet", help="one picture of many generated ones", description="Draw a contact sheet."
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.png", help="output file")
    _add_picture_options(parser, count=64)
    parser.set_defaults(run=run_sheet)


def _add_stats(verbs: argparse._SubParsersAction) -> None:
    parser = verbs.add_parser(
        "stats", help="compare generated with real pictures", description=_STATS_DESCRIPTION
    )
    parser.add_argument(
        "--real",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder of real pictures; hands are cropped to the boxes of its annotations.json",
    )
    _add_picture_options(parser, count=256)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run_stats)


def _add_picture_options(parser: argparse.ArgumentParser, *, count: int) -> None:
    parser.add_argument("--seed", type=seed, default=0, help="decides every picture (0)")
    parser.add_argument(
        "--count", type=positive_int, default=count, metavar="N", help=f"pictures ({count})"
    )
    parser.add_argument(
        "--size",
        type=positive_int,
        metavar="S",
        help="side of each picture in pixels (render.image_size: 128)",
    )
    add_render_options(parser)


def _render(config: "RenderConfig", seed: int, count: int, batch_size: int | None) -> "np.ndarray":
    """(count, size, size, 3) pictures as bytes."""
    import numpy as np

    with InterruptWatch() as watch, rendering_mishaps():
        pictures, bar = [], progress_bar(count)
        with bar:
            for chunk in _picture_chunks(config, seed, count, batch_size or BATCH_SIZE):
                watch.check()
                pictures.append(chunk)
                bar.update(len(chunk))
    return np.concatenate(pictures)


def _picture_chunks(
    config: "RenderConfig", seed: int, count: int, batch_size: int
) -> Iterator["np.ndarray"]:
    import jax

    from i2uv_jax.data.generator import HandGenerator
    from i2uv_jax.hand.asset import load_hand
    from i2uv_jax.imaging.eight_bit import to_bytes
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.ops.cpu_devices import split_cpu

    keep_compiled_programs()
    split_cpu(batch_size)
    generator = HandGenerator(config, load_hand(), batch_size)
    print("compiling the renderer (for minutes, the first time) ...", file=sys.stderr, flush=True)
    for batch in generator.batches(jax.random.key(seed), count):
        yield to_bytes(batch.image)
