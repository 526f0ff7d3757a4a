"""What the verbs that render have in common: options, the config they add up to, and mishaps."""

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.overrides import leave_overrides

if TYPE_CHECKING:
    from tqdm import tqdm

    from i2uv_jax.config import DetectorExperimentConfig, ExperimentConfig, RenderConfig

    Experiment = TypeVar("Experiment", ExperimentConfig, DetectorExperimentConfig)

BATCH_SIZE = 16
"""Pictures rendered at a time, unless said otherwise."""

NO_UV_MAPS = 2
"""The smallest UV map: for pictures whose maps nobody looks at."""


def add_render_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what is drawn; `--render.KEY=VALUE` goes to `overrides`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="draw what a training config draws"
    )
    parser.add_argument(
        "--skins", type=Path, metavar="DIR", help="folder of photographic skins (none)"
    )
    parser.add_argument(
        "--backgrounds", type=Path, metavar="DIR", help="folder of pictures as backgrounds (none)"
    )
    parser.add_argument(
        "--batch", type=positive_int, metavar="N", help="pictures rendered at a time (16)"
    )
    parser.epilog = (
        "Every value of the renderer can be changed: --render.sensor.strength=0 "
        "--render.background.clutter=0.5"
    )
    leave_overrides(parser)


def experiment_config(args: argparse.Namespace) -> "ExperimentConfig":
    """The config that the options of `add_render_options` add up to.

    Raises:
      CommandError: the file, a folder or an override is no good.
    """
    from i2uv_jax.config import ExperimentConfig

    return _config(args, ExperimentConfig(name="default"))


def scene_config(args: argparse.Namespace) -> "DetectorExperimentConfig":
    """The same for scenes with many hands."""
    from i2uv_jax.config import DetectorExperimentConfig

    return _config(args, DetectorExperimentConfig(name="default"))


def _config(args: argparse.Namespace, default: "Experiment") -> "Experiment":
    from i2uv_jax.config_io import load_config, with_overrides

    overrides = list(args.overrides)
    for option, key in (("skins", "skin"), ("backgrounds", "background")):
        folder = getattr(args, option)
        if folder is not None:
            overrides.append(f"render.{key}.folder={folder}")
    try:
        base = default if args.config is None else load_config(args.config, type(default))
        config = with_overrides(base, overrides)
    except ValueError as error:
        raise CommandError(error) from error
    if dataclasses.replace(config, render=base.render) != base:
        raise CommandError("only keys that begin with render. can be changed here")
    return config


@contextmanager
def rendering_mishaps() -> Iterator[None]:
    """Turns what goes wrong in a renderer into one line.

    Raises:
      CommandError: a folder that cannot be used, or a device that ran out of memory.
    """
    try:
        with device_mishaps("rendering failed"):
            yield
    except ValueError as error:
        raise CommandError(error) from error


def picture_config(args: argparse.Namespace) -> "RenderConfig":
    """What is drawn, for pictures without UV maps."""
    config = experiment_config(args).render
    try:
        return dataclasses.replace(
            config, image_size=args.size or config.image_size, uv_map_size=NO_UV_MAPS
        )
    except ValueError as error:
        raise CommandError(error) from error


def progress_bar(count: int | None, *, compiles_first: bool = True) -> "tqdm":
    """On a terminal, a bar; elsewhere nothing.

    Args:
      count: pictures in all; None if nobody knows.
      compiles_first: whether to say that the renderer is being compiled.
    """
    from tqdm import tqdm

    on_terminal = sys.stderr.isatty()
    if on_terminal and compiles_first:
        print("compiling the renderer ...", file=sys.stderr)
    return tqdm(total=count, unit="picture", disable=not on_terminal)
