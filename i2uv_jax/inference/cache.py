"""What is worth keeping between processes, in the user's cache folder."""

import os
import tempfile
from pathlib import Path

import jax

_MIN_COMPILE_SECONDS = 0.1
"""Programs that compile faster are not worth a file."""


def user_cache_folder() -> Path | None:
    """`i2uv_jax` below $XDG_CACHE_HOME or ~/.cache, made if need be; None if that cannot be."""
    try:
        # As the XDG specification has it, a relative path does not count.
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = (given if given.is_absolute() else Path.home() / ".cache") / "i2uv_jax"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # The latter: nobody's home is known.
        return None


def keep_compiled_programs() -> None:
    """Has JAX store what it compiles, unless its own settings say where already."""
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = user_cache_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
