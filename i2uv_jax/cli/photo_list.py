"""Which photos a command line names, and what their results are called."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from i2uv_jax.cli.earlier_results import holds_others_files
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.folder_listing import files_with_suffix


@dataclass(frozen=True)
class Photo:
    """A picture to work on."""

    path: Path
    stem: str
    """Name of its results, without suffix; unique among the photos of the command."""
    problem: str | None = None
    """Why there can be none: `path` is a folder without pictures. One line."""
    is_named: bool = True
    """The command line names the photo itself, not just its folder."""


def list_photos(arguments: Sequence[Path], out: Path) -> list[Photo]:
    """The photos that files and folders on the command line stand for, each once.

    A folder stands for the files in it that have a picture's suffix, sorted by name, without its
    subfolders. Results are named after the photo's stem. Where two photos share one (a.jpg, a.png),
    or a result would replace an input (photo.png with `--out .`) or a file that is no result of an
    earlier run, the suffix joins the name
    (a_jpg, a_png), and a number if that does not help; a line on stderr says so. Missing files, and
    folders without pictures beside others, are reported when it is their turn.

    Raises:
      CommandError: there are folders without pictures only, or the output folder is among the input
        folders, so that its panels would become inputs of the next run.
    """
    from i2uv_jax.imaging.read import HEIF_SUFFIXES, PICTURE_SUFFIXES

    suffixes = PICTURE_SUFFIXES + HEIF_SUFFIXES
    paths: dict[Path, Path] = {}
    problems: dict[Path, str] = {}
    named = {_identity(argument) for argument in arguments}
    for argument in arguments:
        found = [argument]
        if argument.is_dir():
            if _identity(argument) == _identity(out):
                raise CommandError(f"--out {out}: is also an input folder, choose another")
            try:
                found = files_with_suffix(argument, suffixes, "pictures")
            except CommandError as error:
                problems[_identity(argument)] = str(error)
        for path in found:
            paths.setdefault(_identity(path), path)
    if len(problems) == len(paths):
        raise CommandError("; ".join(problems.values()))
    # Names are compared in lower case: on some file systems A.glb and a.glb are one file.
    stems = Counter(path.stem.lower() for place, path in paths.items() if place not in problems)
    taken: set[str] = set()
    photos = []
    for place, path in paths.items():
        stem = path.stem
        if place in problems:
            photos.append(Photo(path, stem, problems[place]))
            continue
        if stems[stem.lower()] > 1 or _replaces_others(out, stem, paths):
            stem = _free_name(f"{path.stem}_{path.suffix.lstrip('.')}", out, paths, taken, stems)
            print(f"i2uv predict: {path}: results are named {stem}.*", file=sys.stderr)
        taken.add(stem.lower())
        photos.append(Photo(path, stem, is_named=place in named))
    return photos


def _identity(path: Path) -> Path:
    """The file behind a path, so that one given twice counts once."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # A loop of links: reading it will say so.
        return path.absolute()


def _replaces_others(out: Path, stem: str, inputs: dict[Path, Path]) -> bool:
    results = (_identity(out / f"{stem}{suffix}") for suffix in (".glb", ".png", ".json"))
    return any(path in inputs for path in results) or holds_others_files(out, stem)


def _free_name(
    wanted: str, out: Path, inputs: dict[Path, Path], taken: set[str], stems: Counter
) -> str:
    name, number = wanted, 1
    while name.lower() in taken or name.lower() in stems or _replaces_others(out, name, inputs):
        number += 1
        name = f"{wanted}_{number}"
    return name
