"""Which runtime computes the network of a predictor: XLA, ONNX Runtime or LiteRT.

The other two get an export of the model (`inference.kept_exports`).
"""

import importlib.util

import jax

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.export import export_model
from i2uv_jax.inference.kept_exports import kept_network
from i2uv_jax.inference.predictor import Predictor, load_model
from i2uv_jax.inference.runtime_errors import UnsupportedModelError
from i2uv_jax.models.joining import load_fine_model
from i2uv_jax.models.model_files import FINE_SRNET, find_model, shipped_file
from i2uv_jax.models.weights import load_picture_model

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
        network=kept_network(
            backend,
            files,
            lambda: export_model(backend, config, variables, load_hand(), files[0].stem),
        ),
        fine_mesh=fine,
    )
