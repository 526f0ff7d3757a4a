"""What the files were that a stored set is made of, so that other ones in their place are noticed.

Kept in `sources.json` beside the shards: readers know nothing of it, and the metadata, which they
load whole, would grow by an entry for each of HO-3D's annotation files.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from i2uv_jax.atomic_file import write_atomically

SOURCES = "sources.json"


def described(sources: Mapping[str, Path]) -> dict[str, str]:
    """Size and checksum of each file.

    Raises:
      ValueError: one of them cannot be read.
    """
    return {name: _description(path) for name, path in sources.items()}


def note_sources(folder: Path, descriptions: Mapping[str, str]) -> None:
    """Writes down in a set's folder what it is made of.

    Raises:
      OSError: the folder cannot be written to.
    """
    write_atomically(folder / SOURCES, json.dumps(descriptions, indent=0).encode())


def check_sources(
    folder: Path, sources: Mapping[str, Path], descriptions: Mapping[str, str]
) -> None:
    """Compares with what was written down in a set's folder.

    Args:
      sources: the files by their names, for the error to say where they are.
      descriptions: theirs.

    Raises:
      FileNotFoundError: nothing was written down.
      ValueError: other files were, or what was written cannot be read.
    """
    noted = _read(folder / SOURCES)
    for name, now in descriptions.items():
        before = noted.pop(name, None)
        if before is None:
            raise ValueError(f"{sources[name]} was not there when it was made")
        if before != now:
            raise ValueError(f"{sources[name]} has changed since, from {before} to {now}")
    for name in noted:
        raise ValueError(f"{name}, which it was made of, is not there now")


def _read(path: Path) -> dict:
    text = path.read_bytes()
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name} lists no files") from error


def _description(path: Path) -> str:
    try:
        if path.suffix == ".npz":
            # A ZIP archive: its directory holds checksums of what is in it.
            with zipfile.ZipFile(path) as archive:
                members = [(m.filename, m.file_size, m.CRC) for m in archive.infolist()]
            size = sum(member_size for _, member_size, _ in members)
            digest = hashlib.sha256(repr(sorted(members)).encode())
        else:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    return f"{size} bytes ({digest.hexdigest()[:16]})"
