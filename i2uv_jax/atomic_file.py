"""Writing files whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file that is either complete under its name or not there (or the old one) at all.

    Any exception, Ctrl-C's included, leaves nothing behind. A process that is ended without one
    leaves a hidden file: by SIGKILL, and by SIGTERM where nobody (`cli.interruption`) makes an
    exception of it.

    Raises:
      OSError: the directory is missing, not writable or full.
    """
    # Opened here and not by `tempfile`, whose files only the owner can read: the system gives this
    # one the rights of any new file. (Python learns these only by changing the process's mask for
    # a moment, which threads must not do.)
    with written_atomically(path) as temporary, open(temporary, "xb") as file:
        file.write(content)


@contextmanager
def written_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """For files that grow: a place in the same directory where the file is to be written.

    At the end it takes its name in one step; after an exception it is removed instead. Nothing
    happens if nothing was written there.

    Raises:
      OSError: it cannot take its name.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    try:
        yield temporary
        if temporary.exists():
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
