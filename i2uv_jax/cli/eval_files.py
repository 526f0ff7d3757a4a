"""The files that every `i2uv eval` writes: metrics.json last, so that it stands for the whole."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError

_METRICS = "metrics.json"

OVERLAYS, WORST, SCENES, CHALLENGE_FILE = "overlays.png", "worst.png", "scenes.png", "pred.zip"
_OF_SOME = frozenset({OVERLAYS, WORST, SCENES, CHALLENGE_FILE})
"""What some evaluations write and others do not: beside the numbers of another it would belie
them."""


def written_results(
    folder: Path,
    summary: Mapping,
    files: Mapping[str, bytes | Sequence[Sequence[str]]],
) -> list[str]:
    """Writes metrics.json and other files, each whole or not at all; their names.

    What an earlier evaluation left and this one does not write is removed.

    Args:
      files: bytes, or the rows of a CSV.

    Raises:
      CommandError: one cannot be written.
    """
    content = dict(files)
    content[_METRICS] = (json.dumps(summary, indent=1) + "\n").encode()
    try:
        if (folder / _METRICS).exists():
            for name in _OF_SOME - set(files):
                (folder / name).unlink(missing_ok=True)
        for name, value in content.items():
            write_atomically(folder / name, value if isinstance(value, bytes) else _csv(value))
    except OSError as error:
        raise CommandError(
            f"--out {folder}: results cannot be written ({error.strerror or error})", EXIT_FAILED
        ) from error
    return list(content)


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
