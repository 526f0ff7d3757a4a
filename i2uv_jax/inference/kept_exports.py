"""Exports that other runtimes need, made on first use and kept in the user's cache folder."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import jax

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.inference.cache import user_cache_folder
from i2uv_jax.inference.export import FORMAT
from i2uv_jax.inference.predictor import Network
from i2uv_jax.inference.runtime_errors import MissingRuntimeError, UnsupportedModelError
from i2uv_jax.inference.runtimes import open_content

_EXPORTED_PARTS = ("config", "geometry", "hand", "inference", "models", "ops")
"""Parts of the package whose code and data decide what an export of a model computes."""

_PACKAGE = Path(__file__).parents[1]

_CONVERTERS = {"onnx": "onnx", "litert": "litert-converter"}
"""Distributions that write exports, by backend."""

_MAX_EXPORTS = 16
"""Of each backend that are kept in the cache; the largest have 20 MB."""


def kept_network(backend: str, files: Sequence[Path], export: Callable[[], bytes]) -> Network:
    """The network of an export, from the cache, where it has that of these files as this code would
    make it.

    Args:
      files: the model's.
      export: makes the export.

    Raises:
      MissingRuntimeError: the backend's extra is not installed.
      UnsupportedModelError: the backend has no way to compute this model.
    """
    versions = (FORMAT, code_digest(_PACKAGE), jax.__version__, backend, _converter(backend))
    model = b"".join(file.read_bytes() for file in files)
    digest = hashlib.sha256(model + " ".join(map(str, versions)).encode()).hexdigest()[:32]
    folder = user_cache_folder()
    kept = None if folder is None else folder / f"{digest}.{backend}"
    if kept is not None and kept.exists():
        try:
            network, _ = open_content(kept.read_bytes())
            with contextlib.suppress(OSError):
                kept.touch()  # So that those that are used stay longest.
            return network
        except (MissingRuntimeError, UnsupportedModelError):
            raise
        except (OSError, ValueError):
            pass  # It is not ours any more, or damaged: made anew below.
    content = export()
    if kept is not None:
        # Where the disk is full, the next process exports again.
        with contextlib.suppress(OSError):
            write_atomically(kept, content)
            _drop_oldest(kept)
    return open_content(content)[0]


def _drop_oldest(newest: Path) -> None:
    """Removes all but the exports of a backend that were used last: every new version of a model or
    of this package leaves some behind."""
    exports = newest.parent.glob(f"*{newest.suffix}")
    by_age = sorted(exports, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[_MAX_EXPORTS:]:
        path.unlink(missing_ok=True)


@lru_cache
def code_digest(package: Path) -> str:
    """Of all in a copy of the package that decides, besides a model's file, what exports compute.

    The version does not tell: a checkout keeps it while its code changes.
    """
    parts = (package / part for part in _EXPORTED_PARTS)
    files = (
        path for part in parts for suffix in ("py", "npz") for path in part.rglob(f"*.{suffix}")
    )
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _converter(backend: str) -> str:
    """Its version; nothing where it is not installed."""
    try:
        return metadata.version(_CONVERTERS[backend])
    except metadata.PackageNotFoundError:
        return ""
