"""Running exported models: a file's content to a function of uint8 crops, and its card."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.export
import numpy as np

from i2uv_jax.inference.export import CARD_NAME, FORMAT, IMAGE, KEYPOINTS
from i2uv_jax.inference.predictor import Network
from i2uv_jax.inference.runtime_errors import MissingRuntimeError, UnsupportedModelError

_ONNX_START = b"\x08"
"""The tag of the first field of an ONNX file, its version."""
_MAX_LITERT_THREADS = 4
"""That work on one hand: its operations are too small to be shared by more."""
_NOT_WHOLE = "truncated, or not an exported model"


def open_export(path: str | os.PathLike) -> tuple[Network, dict]:
    """The network and the card of an exported file of any format.

    The network raises a ValueError for crops that are not of its shape and type, and for keypoints
    that it does not take; without any, those of models that take some are unknown.

    Raises:
      MissingRuntimeError: its runtime is not installed.
      UnsupportedModelError: its runtime is, but cannot run this model.
      ValueError: missing, truncated, of another version, or nothing that was exported here.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"exported file {path}: cannot be read ({error.strerror})") from error
    try:
        return open_content(content)
    except (MissingRuntimeError, UnsupportedModelError):
        raise
    except ValueError as error:
        raise ValueError(f"exported file {path}: {error}") from error


def open_content(content: bytes) -> tuple[Network, dict]:
    """`open_export` of a file's content."""
    card = _card_behind(content)
    if card is None and content.startswith(_ONNX_START):
        network, card = _onnx_network(content)
    elif card is None:
        raise ValueError(_NOT_WHOLE)
    elif content[4:8] == b"TFL3":
        network = _litert_network(content)
    else:
        network = _stablehlo_network(content)
    if card.get("format") != FORMAT:
        raise ValueError(f"expected the format {FORMAT!r}, got {card.get('format')!r}")
    expected = {entry["name"]: entry for entry in card["inputs"]}

    def checked(crops: np.ndarray, keypoints: np.ndarray | None = None) -> dict[str, np.ndarray]:
        if keypoints is not None and KEYPOINTS not in expected:
            raise ValueError(f"{KEYPOINTS}: expected none, as the model takes none")
        given = {IMAGE: crops}
        if KEYPOINTS in expected:
            unknown = np.full((len(crops), *expected[KEYPOINTS]["shape"][1:]), np.nan, np.float32)
            given[KEYPOINTS] = unknown if keypoints is None else keypoints
        for name, array in given.items():
            _check(name, array, expected[name])
        return network(given)

    return checked, card


def _check(name: str, array: np.ndarray, expected: dict) -> None:
    shape, dtype = tuple(expected["shape"][1:]), expected["dtype"]
    if array.shape[1:] != shape or array.dtype != dtype:
        raise ValueError(
            f"{name}: expected {dtype} of shape (batch, {', '.join(map(str, shape))}), got "
            f"{array.dtype} of shape {array.shape}"
        )


def _card_behind(content: bytes) -> dict | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return json.loads(archive.read(f"{CARD_NAME}.json"))
    except (zipfile.BadZipFile, KeyError, zlib.error, json.JSONDecodeError):
        return None


_ByName = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""Inputs to outputs, in the order of the card."""


def _stablehlo_network(content: bytes) -> _ByName:
    try:
        call = jax.jit(jax.export.deserialize(bytearray(content)).call)
    except Exception as error:  # Its reader raises whatever a wrong offset leads to.
        raise ValueError(f"not readable as jax.export's ({type(error).__name__})") from error
    return lambda inputs: jax.device_get(call(*inputs.values()))


def _litert_network(content: bytes) -> _ByName:
    try:
        from i2uv_jax.inference.litert_interpreters import InterpreterPool
    except ImportError as error:
        raise MissingRuntimeError("litert", error) from error
    num_cores = os.cpu_count() or 1
    num_threads = min(num_cores, _MAX_LITERT_THREADS)
    alone = InterpreterPool(
        content, num_threads=num_threads, max_interpreters=num_cores // num_threads
    )
    alone.open()
    # Files hold a batch of 1. A core for each of several hands wastes less than several for each in
    # turn, where every small operation waits for the slowest core.
    together = InterpreterPool(content, num_threads=1, max_interpreters=num_cores)
    threads = ThreadPoolExecutor(num_cores, thread_name_prefix="litert")

    def network(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        hands = [
            {name: row[None] for name, row in zip(inputs, rows, strict=True)}
            for rows in zip(*inputs.values(), strict=True)
        ]
        if len(hands) == 1:
            return alone(**hands[0])
        answers = list(threads.map(lambda hand: together(**hand), hands))
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    return network


def _onnx_network(content: bytes) -> tuple[_ByName, dict]:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRuntimeError("onnx", error) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors alone.
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # Its errors share no class of their own.
        raise ValueError(_NOT_WHOLE) from error
    card = json.loads(session.get_modelmeta().custom_metadata_map.get(CARD_NAME, "{}"))
    outputs = [entry["name"] for entry in card.get("outputs", ())]

    def network(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return network, card
