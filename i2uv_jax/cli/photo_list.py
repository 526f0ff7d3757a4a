"""Which photos a command line names, and what their results are called."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.folder_listing import files_with_suffix


@dataclass(frozen=True)
class Photo:
    """A picture to work on."""

    path: Path
    stem: str
    """Name of its results, without suffix; unique within the command."""


def list_photos(arguments: Sequence[Path], out: Path) -> list[Photo]:
    """The photos that files and folders on the command line stand for, each once.

    A folder stands for the files in it that have a picture's suffix, sorted by name, without its
    subfolders. Results are named after the photo's stem. Where two photos share one (a.jpg, a.png),
    or a result would replace an input (photo.png with `--out .`), the suffix joins the name
    (a_jpg, a_png), and a number if that does not help; a line on stderr says so.

    Raises:
      CommandError: a folder without pictures, or the output folder among the input folders, whose
        panels would become inputs of the next run.
    """
    paths: dict[Path, Path] = {}
    for argument in arguments:
        for path in _expand(argument, out):
            paths.setdefault(_identity(path), path)
    # Names are compared in lower case: on some file systems A.glb and a.glb are one file.
    stems = Counter(path.stem.lower() for path in paths.values())
    taken: set[str] = set()
    photos = []
    for path in paths.values():
        stem = path.stem
        if stems[stem.lower()] > 1 or _replaces_input(out, stem, paths):
            stem = _free_name(f"{path.stem}_{path.suffix.lstrip('.')}", out, paths, taken, stems)
            print(f"i2uv predict: {path}: results are named {stem}.*", file=sys.stderr)
        taken.add(stem.lower())
        photos.append(Photo(path, stem))
    return photos


def _expand(argument: Path, out: Path) -> Iterator[Path]:
    from i2uv_jax.imaging.read import PICTURE_SUFFIXES

    if not argument.is_dir():
        yield argument  # Missing files are reported when it is their turn.
        return
    if _identity(argument) == _identity(out):
        raise CommandError(f"--out {out}: is also an input folder, choose another")
    yield from files_with_suffix(argument, PICTURE_SUFFIXES, "pictures")


def _identity(path: Path) -> Path:
    """The file behind a path, so that one given twice counts once."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # A loop of links: reading it will say so.
        return path.absolute()


def _replaces_input(out: Path, stem: str, inputs: dict[Path, Path]) -> bool:
    return any(_identity(out / f"{stem}{suffix}") in inputs for suffix in (".glb", ".png", ".json"))


def _free_name(
    wanted: str, out: Path, inputs: dict[Path, Path], taken: set[str], stems: Counter
) -> str:
    name, number = wanted, 1
    while name.lower() in taken or name.lower() in stems or _replaces_input(out, name, inputs):
        number += 1
        name = f"{wanted}_{number}"
    return name
