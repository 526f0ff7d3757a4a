"""Writing files whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file that is either complete under its name or not there (or the old one) at all.

    The bytes go to a temporary file in the same directory, which then takes the final name in one
    step; any interruption, Ctrl-C included, removes the temporary file.

    Raises:
      OSError: the directory is missing, not writable or full.
    """
    path = Path(path)
    # Opened here and not by `tempfile`, whose files only the owner can read: the system gives this
    # one the rights of any new file. (Python learns these only by changing the process's mask for
    # a moment, which threads must not do.)
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
