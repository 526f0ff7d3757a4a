"""A model as one file for other runtimes, with all that its user must know inside.

The network takes uint8 crops to UV maps; what a model tells of a hand's presence and of the errors
to expect, and the keypoints that it might be told, are left out. What turns those maps into a mesh
travels along as JSON, the card (`export_card`): in an ONNX file as the metadata "i2uv", in the
others as `i2uv.json` in a zip archive behind the program, which their own readers do not look at.
ONNX files hand the tables out as further outputs, too, since runtimes for JavaScript show no
metadata.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from importlib import metadata

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES, KEYPOINT_NAMES
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.asset import Hand
from i2uv_jax.inference.program import make_network
from i2uv_jax.models.folding import fold_batch_norm

FORMATS = ("stablehlo", "onnx", "litert")
CARD_NAME = "i2uv"
FORMAT = "i2uv_jax export 1"
INPUT, OUTPUT = "image", "uv_map"
STABLEHLO_PLATFORMS = ("cpu", "cuda", "tpu")


class MissingRuntimeError(ValueError):
    """A format needs packages that are not installed; the message names the extra."""


def export_model(
    file_format: str,
    config: HandNetConfig,
    variables: dict,
    hand: Hand,
    name: str,
    *,
    calibration: Sequence[UInt8[np.ndarray, "s s 3"]] | None = None,
) -> bytes:
    """The file's content.

    Args:
      file_format: one of `FORMATS`.
      name: how the card calls the model.
      calibration: crops of hands; given, a LiteRT model computes its convolutions in int8.

    Raises:
      MissingRuntimeError: the format's extra is not installed.
      ValueError: unknown format, or int8 in another than LiteRT.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format: expected one of {FORMATS}, got {file_format!r}")
    if calibration is not None and file_format != "litert":
        raise ValueError(f"int8: only the format litert has it, not {file_format}")
    network, folded = make_network(portable(config), hand), fold_batch_norm(variables)
    size = config.crop_size
    card = export_card(config, hand, name, "int8" if calibration is not None else "float32")

    def function(crops: jax.Array) -> jax.Array:
        return network(folded, crops).uv_map

    if file_format == "onnx":
        return _onnx(function, size, card)
    card["input"]["shape"][0] = "batch" if file_format == "stablehlo" else 1
    if file_format == "stablehlo":
        (batch,) = jax.export.symbolic_shape("batch")
        spec = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.uint8)
        exported = jax.export.export(jax.jit(function), platforms=STABLEHLO_PLATFORMS)(spec)
        return with_card(bytes(exported.serialize()), card)
    return with_card(_litert(function, size, calibration), card)


def portable(config: HandNetConfig) -> HandNetConfig:
    """In plain operations and float32, which every runtime has."""
    return dataclasses.replace(config, cpu_paths="off", dtype="float32")


def export_card(config: HandNetConfig, hand: Hand, name: str, precision: str) -> dict:
    """All that a user needs besides the program, of JSON's types."""
    tables = build_tables(hand.atlas, config.uv_map_size)
    keypoints, vertices = np.nonzero(hand.keypoint_regressor)
    weights = hand.keypoint_regressor[keypoints, vertices]
    size, map_size = config.crop_size, config.uv_map_size
    return {
        "format": FORMAT,
        "name": name,
        "version": metadata.version("i2uv-jax"),
        "precision": precision,
        "input": {
            "name": INPUT,
            "shape": ["batch", size, size, 3],
            "dtype": "uint8",
            "meaning": "sRGB, 0 to 255, rows from the top: a square around a right hand, its side "
            "1.25 times the hand's longer side; mirror left hands in x and the result back",
        },
        "output": {
            "name": OUTPUT,
            "shape": ["batch", map_size, map_size, 3],
            "dtype": "float32",
            "meaning": "x right and y down, 0 to 1 over the square; z away from the camera, "
            "relative to the wrist, in the square's sides",
        },
        "mean_bone_length_mm": round(1000 * float(hand.mean_bone_length_m), 4),
        "bone_edges": KEYPOINT_EDGES,
        "keypoint_names": KEYPOINT_NAMES,
        "vertex_texels": tables.vertex_texels.tolist(),
        "vertex_weights": _rounded(tables.vertex_weights),
        "keypoint_regressor": {
            "keypoints": keypoints.tolist(),
            "vertices": vertices.tolist(),
            "weights": _rounded(weights),
        },
        "faces": hand.faces.tolist(),
    }


def with_card(program: bytes, card: dict) -> bytes:
    """The program, and behind it a zip archive with the card."""
    content = io.BytesIO(program)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date, so that equal models give equal files.
        info = zipfile.ZipInfo(f"{CARD_NAME}.json", (1980, 1, 1, 0, 0, 0))
        archive.writestr(info, json.dumps(card), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _onnx(function: Callable, size: int, card: dict) -> bytes:
    try:
        from i2uv_jax.inference.onnx_graph import onnx_model
    except ImportError as error:
        raise missing_runtime("onnx", error) from error
    regressor = card["keypoint_regressor"]
    dense = np.zeros((len(KEYPOINT_NAMES), len(card["vertex_texels"])), np.float32)
    dense[regressor["keypoints"], regressor["vertices"]] = regressor["weights"]
    tables = {
        "vertex_texels": np.array(card["vertex_texels"], np.int32),
        "vertex_weights": np.array(card["vertex_weights"], np.float32),
        "keypoint_regressor": dense,
        "bone_edges": np.array(card["bone_edges"], np.int32),
        "mean_bone_length_mm": np.array(card["mean_bone_length_mm"], np.float32),
        "faces": np.array(card["faces"], np.int32),
    }
    model = onnx_model(
        function,
        (size, size, 3),
        np.dtype(np.uint8),
        input_name=INPUT,
        output_name=OUTPUT,
        constants=tables,
    )
    model.metadata_props.add(key=CARD_NAME, value=json.dumps(card))
    return model.SerializeToString()


def _litert(function: Callable, size: int, calibration: Sequence[np.ndarray] | None) -> bytes:
    try:
        from i2uv_jax.inference.litert_graph import litert_model, quantised
    except ImportError as error:
        raise missing_runtime("litert", error) from error
    spec = jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)
    model = litert_model(function, spec, input_name=INPUT, output_name=OUTPUT)
    if calibration is None:
        return model
    return quantised(model, INPUT, [crop[None] for crop in calibration])


def missing_runtime(extra: str, error: ImportError) -> MissingRuntimeError:
    """The line that names the extra."""
    return MissingRuntimeError(
        f'{extra}: not installed ({error}); pip install "i2uv-jax[{extra}]", or uv sync --extra '
        f"{extra}"
    )


def _rounded(values: np.ndarray) -> list:
    """To seven decimals: float32 holds no more of numbers below 1."""
    return np.round(values.astype(np.float64), 7).tolist()
