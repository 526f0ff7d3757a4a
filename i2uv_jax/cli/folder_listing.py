"""What lies in a folder that a command line names."""

from collections.abc import Collection
from pathlib import Path

from i2uv_jax.cli.failure import CommandError


def files_with_suffix(folder: Path, suffixes: Collection[str], kind: str) -> list[Path]:
    """Its files with one of these suffixes (in lower case), sorted; without hidden ones.

    Args:
      kind: what such files are called, in the plural.

    Raises:
      CommandError: the folder cannot be listed, or holds none.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CommandError(f"{folder}: cannot be listed ({error.strerror})") from error
    files = [
        path
        for path in entries
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and not path.is_dir()
    ]
    if not files:
        raise CommandError(f"{folder}: the folder holds no {kind} ({', '.join(suffixes)})")
    return files
