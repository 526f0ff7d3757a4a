"""Which runtime computes the network of a predictor: XLA, ONNX Runtime or LiteRT.

The other two get an export of the model, made on first use and kept in the user's cache folder.
"""

import contextlib
import hashlib
import importlib.util
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import jax

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.cache import user_cache_folder
from i2uv_jax.inference.export import FORMAT, export_model
from i2uv_jax.inference.predictor import Predictor, load_model
from i2uv_jax.inference.runtime_errors import UnsupportedModelError
from i2uv_jax.inference.runtimes import Network, open_content
from i2uv_jax.models.joining import load_fine_model
from i2uv_jax.models.model_files import FINE_SRNET, find_model, shipped_file
from i2uv_jax.models.weights import load_picture_model

_EXPORTED_PARTS = ("config", "geometry", "hand", "inference", "models", "ops")
"""Parts of the package whose code and data decide what an export of a model computes."""

_PACKAGE = Path(__file__).parents[1]

_CONVERTERS = {"onnx": "onnx", "litert": "litert-converter"}
"""Distributions that write exports, by backend."""

_MAX_EXPORTS = 16
"""Of each backend that are kept in the cache; one has 20 MB."""

_LITERT_MODULES = ("ai_edge_litert", "litert_converter")


def choose_backend(wanted: str) -> str:
    """What "auto" stands for: LiteRT on CPUs where it is installed, the faster one by
    docs/benchmarks.md, else XLA."""
    if wanted != "auto":
        return wanted
    installed = all(importlib.util.find_spec(module) for module in _LITERT_MODULES)
    return "litert" if installed and jax.default_backend() == "cpu" else "xla"


def load_fastest(name_or_path: str, *, batch_size: int | None = None) -> tuple[Predictor, str]:
    """A predictor on what "auto" stands for, or on XLA if that cannot compute this model; which of
    them, in words.

    Raises:
      ValueError: no such model, or the file is broken or foreign.
    """
    backend = choose_backend("auto")
    try:
        return load_with_backend(name_or_path, backend, batch_size=batch_size), backend
    except UnsupportedModelError as error:
        return load_model(name_or_path, batch_size=batch_size), f"xla, as {error}"


def load_with_backend(
    name_or_path: str, backend: str, *, batch_size: int | None = None, fine: bool = False
) -> Predictor:
    """A predictor whose network runs on a backend other than "auto".

    Args:
      fine: see `load_model`.

    Raises:
      MissingRuntimeError: the backend's extra is not installed.
      UnsupportedModelError: the backend has no way to compute this model.
      ValueError: no such model, or the file is broken or foreign.
    """
    if backend == "xla":
        return load_model(name_or_path, batch_size=batch_size, fine=fine)
    files = [find_model(name_or_path)]
    if fine:
        files.append(shipped_file(FINE_SRNET))
        config, variables, card = load_fine_model(name_or_path)
    else:
        config, variables, card = load_picture_model(files[0])
    return Predictor(
        config,
        variables,
        name=str(name_or_path),
        metadata=card,
        batch_size=batch_size,
        network=_network(backend, files, config, variables),
        fine_mesh=fine,
    )


def _network(backend: str, files: list[Path], config, variables: dict) -> Network:
    """From the cache, where it has the model of these files as this code would export it."""
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
        except UnsupportedModelError:
            raise
        except (OSError, ValueError):
            pass  # It is not ours any more, or damaged: made anew below.
    content = export_model(backend, config, variables, load_hand(), files[0].stem)
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
