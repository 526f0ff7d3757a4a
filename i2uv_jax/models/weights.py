"""Model files: one .safetensors file with the weights, the config and the card of a model.

Tensors are named by their path in the variables, "params/affine_net/encoder/stem_conv/kernel".
The header's metadata holds three texts: "format" (the name and version of `FORMATS`), "config" (the
network's config as JSON, every value written out) and "card" (JSON, free: a model's name, its
numbers, where it comes from). The file needs no code to be read safely, and nothing is pickled.
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.config import DetectorConfig, HandNetConfig, LandmarkNetConfig, PalmNetConfig
from i2uv_jax.config_io import from_json, to_json
from i2uv_jax.models.networks import NetworkConfig, build_network

FORMAT = "i2uv_jax model 1"
FORMATS = {
    HandNetConfig: FORMAT,
    DetectorConfig: "i2uv_jax detector 1",
    PalmNetConfig: "i2uv_jax palm detector 1",
    LandmarkNetConfig: "i2uv_jax hand landmarks 1",
}
"""What a file says it is, by the kind of network it holds."""
STORAGE_DTYPES = ("float32", "float16")

Config = TypeVar("Config", HandNetConfig, DetectorConfig, PalmNetConfig, LandmarkNetConfig)


def save_model(
    path: str | os.PathLike,
    config: NetworkConfig,
    variables: dict[str, Any],
    metadata: dict[str, Any],
    *,
    storage_dtype: str = "float32",
) -> None:
    """Writes a model file, whole or not at all.

    Args:
        path: where to; the directory must exist.
        config: the model that the variables belong to.
        variables: "params" and "batch_stats", nested, as `build_network(config).init` makes them.
        metadata: the model's card, of JSON's types.
        storage_dtype: "float16" halves the file and rounds the parameters to 11 bits; batch
            statistics, whose range is open, stay float32.

    Raises:
        ValueError: the variables are not the config's, hold values that are not finite in the
            storage dtype, or `storage_dtype` is unknown.
        OSError: the file cannot be written.
    """
    if storage_dtype not in STORAGE_DTYPES:
        raise ValueError(f"storage_dtype: expected one of {STORAGE_DTYPES}, got {storage_dtype!r}")
    tensors = {
        # safetensors writes memory as it lies, whatever the strides say.
        name: np.ascontiguousarray(value, np.float32)
        for name, value in flatten_dict(variables, sep="/").items()
    }
    _check_tensors(f"model file {path}", config, {n: t.shape for n, t in tensors.items()})
    with np.errstate(over="ignore"):  # what overflows is reported by name below
        stored = {
            name: tensor.astype(storage_dtype) if name.startswith("params/") else tensor
            for name, tensor in tensors.items()
        }
    for name, tensor in stored.items():
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"model file {path}: expected finite {tensor.dtype} values, got others in {name}"
            )
    header = {
        "format": FORMATS[type(config)],
        "config": to_json(config),
        "card": json.dumps(metadata),
    }
    write_atomically(path, save(stored, header))


def load_model_file(
    path: str | os.PathLike,
    config_type: type[Config] = HandNetConfig,
) -> tuple[Config, dict[str, Any], dict[str, Any]]:
    """Reads a model file: its config, its variables (float32) and its card.

    Args:
        config_type: which kind of network is wanted.

    Raises:
        ValueError: one line that names the file and what is wrong with it: missing, unreadable,
            truncated, no model of this package and kind, or tensors that do not fit its config.
    """
    label = _label(path)
    with _opened(path) as file:
        config, card = _parse_header(label, file.metadata() or {}, config_type)
        names = list(file.keys())
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        _check_tensors(label, config, shapes)
        tensors = {name: file.get_tensor(name).astype(np.float32) for name in names}
    # At once: one by one each shape would be a program of its own.
    return config, unflatten_dict(jax.device_put(tensors), sep="/"), card


def load_picture_model(
    path: str | os.PathLike,
) -> tuple[HandNetConfig, dict[str, Any], dict[str, Any]]:
    """As `load_model_file`, for models of the hand that take pictures.

    Raises:
        ValueError: as there, and for an SRNet alone.
    """
    config, variables, card = load_model_file(path)
    if config.affine is None:
        raise ValueError(
            f"model file {path}: an SRNet alone, which takes no pictures; `i2uv join` puts it "
            "behind an AffineNet"
        )
    return config, variables, card


def _label(path: str | os.PathLike) -> str:
    return f"model file {path}"


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Any]:
    """A model file; what is wrong with it while it is open becomes a ValueError of one line."""
    label = _label(path)
    if not Path(path).exists():
        raise ValueError(f"{label}: no such file")
    if Path(path).is_dir():
        raise ValueError(f"{label}: is a directory")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{label}: truncated, or not a .safetensors file ({error})") from None
    except OSError as error:
        raise ValueError(f"{label}: cannot be read ({error.strerror or error})") from None


def _parse_header(
    label: str, header: dict[str, str], config_type: type[Config]
) -> tuple[Config, dict[str, Any]]:
    file_format, expected = header.get("format"), FORMATS[config_type]
    if file_format != expected:
        raise ValueError(
            f"{label}: not a model of this package (format {file_format!r}, expected {expected!r})"
        )
    try:
        config = from_json(config_type, header["config"])
        card = json.loads(header["card"])
    except KeyError as error:
        raise ValueError(f"{label}: its header has no {error}") from None
    except ValueError as error:
        raise ValueError(f"{label}: broken header: {error}") from None
    if not isinstance(card, dict):
        raise ValueError(f"{label}: broken header: the card is no JSON object")
    return config, card


def _check_tensors(label: str, config: NetworkConfig, shapes: dict[str, tuple[int, ...]]) -> None:
    expected = {
        name: leaf.shape for name, leaf in flatten_dict(variable_shapes(config), sep="/").items()
    }
    for kind, names in (
        ("missing", sorted(expected.keys() - shapes.keys())),
        ("unknown", sorted(shapes.keys() - expected.keys())),
    ):
        if names:
            raise ValueError(f"{label}: does not fit its config: {len(names)} {kind}: {names[0]}")
    for name, shape in expected.items():
        if tuple(shapes[name]) != shape:
            raise ValueError(
                f"{label}: does not fit its config: {name}: expected shape {shape}, "
                f"got {tuple(shapes[name])}"
            )


def variable_shapes(config: NetworkConfig) -> dict[str, Any]:
    """The variables of a model as `jax.ShapeDtypeStruct`s; nothing is computed."""
    image = jax.ShapeDtypeStruct((1, config.input_size, config.input_size, 3), jnp.float32)

    # Formulations for CPUs and what has no variables take long to trace.
    if isinstance(config, HandNetConfig):
        config = dataclasses.replace(config, skinned=None)
    network = build_network(config).clone(cpu_paths=False)

    def variables_of(image: jax.Array) -> dict[str, Any]:
        # Not `init`, which would trace the random numbers, too (`models.layers.parameter`).
        keys = {"params": jax.random.key(0)}
        _, variables = network.apply(
            {}, image, train=False, mutable=["params", "batch_stats"], rngs=keys
        )
        return variables

    return jax.eval_shape(variables_of, image)
