"""`i2uv data build`: storing sets for tensorflow-datasets, rendered or from owners' archives."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2uv_jax.cli.argument_types import positive_int, seed
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch, exit_code_of
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.rendering import (
    BATCH_SIZE,
    add_render_options,
    picture_config,
    progress_bar,
    rendering_mishaps,
)

if TYPE_CHECKING:
    import tensorflow_datasets as tfds
    from tqdm import tqdm

RENDERED = "rendered"
UV_MAPS = "uv_maps"
PHOTO_SETS = ("freihand", "ho3d_v2", "ho3d_v3", "hic")

_RENDERED_DEFAULTS = {
    "count": None,
    "seed": 0,
    "shards": None,
    "size": 256,
    "format": "jpeg",
    "quality": 95,
    "config": None,
    "skins": None,
    "backgrounds": None,
    "batch": None,
}
"""Options that only rendered sets have."""

_DESCRIPTION = """Store a set for tensorflow-datasets, readable without TensorFlow, and print its
folder, which --data.sets=FOLDER:1 of `i2uv train` takes. The same command continues an interrupted
build. Without --set hands are rendered. The photos of freihand, ho3d_v2, ho3d_v3 and hic are read
from archives that you fetched from their owners and unpacked in --archives, with your own
MANO_RIGHT.pkl and an OBJ that lays its vertices out (docs/datasets.md). uv_maps reads a folder of
UV maps, as `i2uv data register` writes them."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv data`."""
    parser = verbs.add_parser(
        "build",
        help="store a set of samples, rendered or from archives",
        description=_DESCRIPTION,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of sets")
    parser.add_argument(
        "--set",
        choices=(RENDERED, *PHOTO_SETS, UV_MAPS),
        default=RENDERED,
        help=f"what to store ({RENDERED})",
    )
    files = parser.add_argument_group("sets that are not rendered")
    files.add_argument("--archives", type=Path, metavar="DIR", help="where the files were unpacked")
    files.add_argument("--mano", type=Path, metavar="FILE", help="MANO_RIGHT.pkl")
    files.add_argument(
        "--uv-template", type=Path, metavar="FILE", help="OBJ of MANO's vertices with vt lines"
    )
    parser.add_argument("--count", type=positive_int, metavar="N", help="rendered samples in all")
    parser.add_argument("--seed", type=seed, help="decides every picture (0)")
    parser.add_argument(
        "--shards", type=positive_int, metavar="K", help="files (one for 1024 samples)"
    )
    parser.add_argument(
        "--image-size",
        "--size",
        dest="size",
        type=positive_int,
        metavar="S",
        help="side of the pictures in pixels (256)",
    )
    parser.add_argument("--format", choices=("jpeg", "png"), help="(jpeg)")
    parser.add_argument(
        "--quality",
        type=positive_int,
        metavar="Q",
        help="JPEG quality (95), lower for pictures that would make a sample pass 40 KB",
    )
    add_render_options(parser)
    parser.set_defaults(run=run_build, **_RENDERED_DEFAULTS)


def run_build(args: argparse.Namespace) -> int:
    """Stores what is missing of the set; returns the process's exit code."""
    if args.set == RENDERED:
        for option in ("archives", "mano", "uv_template"):
            if getattr(args, option) is not None:
                raise CommandError(f"--{option.replace('_', '-')}: goes with --set of files only")
        if args.count is None:
            raise CommandError("--count N: say how many samples to render")
        return _run_rendered(args)
    return _run_files(args)


def _run_rendered(args: argparse.Namespace) -> int:
    config = picture_config(args)
    with InterruptWatch() as watch, rendering_mishaps():
        import logging

        from i2uv_jax.data.builders.resumable import count_shards
        from i2uv_jax.data.builders.synthetic_hands import (
            BuildSettings,
            SyntheticHands,
            SyntheticHandsConfig,
        )
        from i2uv_jax.inference.cache import keep_compiled_programs
        from i2uv_jax.ops.cpu_devices import split_cpu

        keep_compiled_programs()
        split_cpu(args.batch or BATCH_SIZE)
        settings = BuildSettings(
            render=config,
            seed=args.seed,
            count=args.count,
            num_shards=args.shards or count_shards(args.count),
            batch_size=args.batch or BATCH_SIZE,
            image_format=args.format,
            quality=args.quality,
        )
        make_output_folder(args.out)
        logging.getLogger("absl").setLevel(logging.ERROR)  # its warnings are about TensorFlow
        builder = SyntheticHands(data_dir=args.out, config=SyntheticHandsConfig(settings=settings))
        exit_code = _store(builder, builder.download_and_prepare, watch, progress_bar(args.count))
    if exit_code:
        return exit_code
    split = builder.info.splits["train"]
    print(
        f"{split.num_examples} samples in {split.num_shards} shards, "
        f"{split.num_bytes / split.num_examples / 1000:.1f} KB a sample: {builder.data_path}"
    )
    return 0


def _run_files(args: argparse.Namespace) -> int:
    needed = ("archives",) if args.set == UV_MAPS else ("archives", "mano", "uv_template")
    for option in needed:
        if getattr(args, option) is None:
            raise CommandError(f"--set {args.set} needs --{option.replace('_', '-')}")
    for option, default in _RENDERED_DEFAULTS.items():
        if getattr(args, option) != default:
            raise CommandError(f"--{option}: goes with rendered sets only")
    if args.overrides:
        raise CommandError("--render.: goes with rendered sets only")
    import logging

    logging.getLogger("absl").setLevel(logging.ERROR)  # its warnings are about TensorFlow
    with InterruptWatch() as watch:
        try:
            make_output_folder(args.out)
            builder, build = _file_builder(args)
            exit_code = _store(builder, build, watch, progress_bar(None, compiles_first=False))
        except ValueError as error:
            raise CommandError(error) from error
    if exit_code:
        return exit_code
    for name, split in builder.info.splits.items():
        print(
            f"{name}: {split.num_examples} samples, "
            f"{split.num_bytes / split.num_examples / 1000:.1f} KB a sample"
        )
    print(builder.data_path)
    return 0


def _file_builder(
    args: argparse.Namespace,
) -> tuple["tfds.core.DatasetBuilder", Callable[..., None]]:
    """A set's builder, and what builds it."""
    if args.set == UV_MAPS:
        from i2uv_jax.data.builders.uv_map_pairs import UvMapPairs, UvMapPairsConfig

        pairs = UvMapPairs(data_dir=args.out, config=UvMapPairsConfig(folder=args.archives))
        return pairs, pairs.download_and_prepare
    from i2uv_jax.data.builders.hand_photos import PhotoSetConfig

    config = PhotoSetConfig(mano_path=args.mano, template_path=args.uv_template)
    builder = _photo_builder(args.set)(data_dir=args.out, config=config)
    return builder, partial(builder.build, args.archives)


def _store(
    builder: "tfds.core.DatasetBuilder",
    build: Callable[..., None],
    watch: InterruptWatch,
    bar: "tqdm",
) -> int:
    """Runs a build with its progress; returns the process's exit code."""

    def on_progress(num_samples: int) -> None:
        watch.check()
        bar.update(num_samples)

    try:
        with bar:
            build(on_progress=on_progress)
    except KeyboardInterrupt as interruption:
        print(
            f"i2uv data: interrupted; the same command continues from the last whole shard in "
            f"{builder.data_path}",
            file=sys.stderr,
        )
        return exit_code_of(interruption)
    except OSError as error:
        raise CommandError(
            f"{error.filename or builder.data_path}: cannot be written ({error.strerror}); "
            "once it can, the same command continues",
            EXIT_FAILED,
        ) from error
    return 0


def _photo_builder(name: str) -> Any:
    from i2uv_jax.data.builders import freihand, hic, ho3d

    return {
        "freihand": freihand.FreiHandPhotos,
        "ho3d_v2": ho3d.Ho3dV2,
        "ho3d_v3": ho3d.Ho3dV3,
        "hic": hic.HicPhotos,
    }[name]
