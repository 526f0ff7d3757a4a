"""The folder that results go to."""

from pathlib import Path

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.failure import CommandError


def make_output_folder(folder: Path) -> None:
    """Makes the folder, if need be with those above it.

    Raises:
      CommandError: it cannot be made, or is not a folder that can be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".i2uv_write_test"
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)  # several commands may share the folder
    except FileExistsError:
        raise CommandError(f"--out {folder}: is a file, expected a folder") from None
    except OSError as error:
        raise CommandError(f"--out {folder}: cannot be written to ({error.strerror})") from None
