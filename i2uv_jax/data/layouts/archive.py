"""What the readers share: files that must be there, and arrays in JSON that may be huge."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_CHUNK_CHARS = 1 << 20

_BETWEEN = re.compile(r"[\s,]*")
_BETWEEN_OR_END = re.compile(r"[\s,\]]")


@dataclass(frozen=True)
class Archive:
    """A data set that its users have to fetch themselves."""

    name: str
    page: str
    terms: str

    def require(self, path: Path) -> Path:
        """The path, if it is there.

        Raises:
          ValueError: it is not; the line says where the set is to be had and on what terms.
        """
        if not path.exists():
            raise ValueError(
                f"{path}: no such file or folder; {self.name} is to be had at {self.page} "
                f"({self.terms}), and is read as its archives unpack"
            )
        return path

    def entries(self, path: Path) -> Iterator[Any]:
        """The entries of a JSON list one by one, whatever they are.

        Raises:
          ValueError: the file is missing, or is no JSON list.
        """
        yield from _entries(self.require(path))

    def numbers(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        """A JSON list of arrays that all hold as many numbers as `shape`: (n, *shape), float32.

        FreiHAND's vertices are 1.6 GB of text: entries are parsed one by one.

        Raises:
          ValueError: the file is missing, is no such list or holds something else.
        """
        rows = []
        for index, entry in enumerate(self.entries(path)):
            try:
                rows.append(np.asarray(entry, np.float32).reshape(shape))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}: entry {index}: expected numbers of shape {shape}"
                ) from error
        return np.stack(rows) if rows else np.zeros((0, *shape), np.float32)


def _entries(path: Path) -> Iterator[Any]:
    """The entries of a JSON list, without holding the whole of it."""
    decode = json.JSONDecoder().raw_decode
    try:
        # Some editors put a byte order mark first.
        with path.open(encoding="utf-8-sig") as file:
            text, place, at_end = file.read(_CHUNK_CHARS), 1, False
            if not text.startswith("["):
                raise ValueError("expected a list")
            while True:
                place = _BETWEEN.match(text, place).end()
                try:
                    entry, end = decode(text, place)
                except json.JSONDecodeError:
                    end = len(text)
                # What no delimiter follows (3 of "3." among others) goes on in the next chunk.
                is_whole = _BETWEEN_OR_END.match(text, end) is not None
                if not is_whole and not at_end:
                    more = file.read(_CHUNK_CHARS)
                    text, place, at_end = text[place:] + more, 0, not more
                    continue
                if text[place : place + 1] == "]":
                    return
                if not is_whole:
                    raise ValueError("it ends in the middle of its entries")
                yield entry
                place = end
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not the JSON list it should be ({error})") from error
