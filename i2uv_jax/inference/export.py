"""A model as one file for other runtimes, with all that its user must know inside.

The network takes uint8 crops, and keypoints if the model can be told any, to UV maps and what else
the model tells. What turns those maps into a mesh travels along as JSON, the card (`export_card`):
in an ONNX file as the metadata "i2uv", in the others as `i2uv.json` in a zip archive behind the
program, which their own readers do not look at.
ONNX files hand the tables out as further outputs, too, since runtimes for JavaScript show no
metadata.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import jax
import jax.export
import numpy as np

from i2uv_jax.config import HandNetConfig
from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES, KEYPOINT_NAMES, NUM_KEYPOINTS
from i2uv_jax.geometry.uv_map import build_vertex_tables
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.inference.program import make_network
from i2uv_jax.inference.runtime_errors import MissingRuntimeError
from i2uv_jax.models.folding import fold_batch_norm
from i2uv_jax.models.looks import SeenHands

FORMATS = ("stablehlo", "onnx", "litert")
CARD_NAME = "i2uv"
FORMAT = "i2uv_jax export 2"
IMAGE, KEYPOINTS = "image", "keypoints"
"""Names of the inputs; the outputs have those of `SeenHands`' fields."""
STABLEHLO_PLATFORMS = ("cpu", "cuda", "tpu")
INT8 = ("weights", "convolutions")
"""What large layers of a LiteRT file can have in int8: weights alone, or convolutions with all that
they take."""


def export_model(
    file_format: str,
    config: HandNetConfig,
    variables: dict,
    hand: Hand,
    name: str,
    *,
    int8: str | None = None,
    calibration: Sequence[dict[str, np.ndarray]] = (),
    fine_mesh: bool = False,
) -> bytes:
    """The file's content.

    Args:
      file_format: one of `FORMATS`.
      name: how the card calls the model.
      int8: one of `INT8`, for LiteRT; None is float.
      calibration: inputs by name, each for one hand: what `int8="convolutions"` takes its ranges
        from.
      fine_mesh: the card's mesh is the finer one of `Predictor`'s `fine_mesh`.

    Raises:
      MissingRuntimeError: the format's extra is not installed.
      UnsupportedModelError: the format has no way to express the model.
      ValueError: unknown format, or int8 in another than LiteRT.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format: expected one of {FORMATS}, got {file_format!r}")
    if int8 not in (None, *INT8):
        raise ValueError(f"int8: expected one of {INT8}, got {int8!r}")
    if int8 is not None and file_format != "litert":
        raise ValueError(f"int8: only the format litert has it, not {file_format}")
    network, folded = make_network(portable(config), hand), fold_batch_norm(variables)
    precision = "float32" if int8 is None else f"int8 {int8}"
    card = export_card(config, hand, name, precision, fine_mesh=fine_mesh)

    def function(*inputs: jax.Array) -> dict[str, jax.Array]:
        return named_outputs(network(folded, *inputs))

    if file_format == "onnx":
        return _onnx(function, card)
    if file_format == "stablehlo":
        (batch,) = jax.export.symbolic_shape("batch")
        specs = _specs(card, batch)
        exported = jax.export.export(jax.jit(function), platforms=STABLEHLO_PLATFORMS)(*specs)
        return with_card(bytes(exported.serialize()), card)
    for entry in (*card["inputs"], *card["outputs"]):
        entry["shape"][0] = 1
    return with_card(_litert(function, card, int8, calibration), card)


def named_outputs(seen: SeenHands) -> dict[str, jax.Array]:
    """What a model tells, by the names of outputs."""
    return {name: value for name, value in seen._asdict().items() if value is not None}


def _specs(card: dict, batch: Any) -> list[jax.ShapeDtypeStruct]:
    """Of the inputs, with that as the batch."""
    return [
        jax.ShapeDtypeStruct((batch, *entry["shape"][1:]), entry["dtype"])
        for entry in card["inputs"]
    ]


def portable(config: HandNetConfig) -> HandNetConfig:
    """In plain operations and float32, which every runtime has."""
    return dataclasses.replace(config, cpu_paths="off", dtype="float32")


def export_card(
    config: HandNetConfig, hand: Hand, name: str, precision: str, *, fine_mesh: bool = False
) -> dict:
    """All that a user needs besides the program, of JSON's types."""
    # The finer mesh begins with the hand's vertices, so keypoints are the same means of both.
    atlas = subdivision_of(hand).atlas if fine_mesh else hand.atlas
    tables = build_vertex_tables(atlas, config.uv_map_size)
    keypoints, vertices = np.nonzero(hand.keypoint_regressor)
    weights = hand.keypoint_regressor[keypoints, vertices]
    return {
        "format": FORMAT,
        "name": name,
        "version": metadata.version("i2uv-jax"),
        "precision": precision,
        "inputs": _inputs(config),
        "outputs": _outputs(config),
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
        "faces": atlas.faces.tolist(),
    }


def _inputs(config: HandNetConfig) -> list[dict]:
    size = config.crop_size
    image = {
        "name": IMAGE,
        "shape": ["batch", size, size, 3],
        "dtype": "uint8",
        "meaning": "sRGB, 0 to 255, rows from the top: a square around a right hand, its side 1.25 "
        "times the hand's longer side; mirror left hands in x and the result back",
    }
    keypoints = {
        "name": KEYPOINTS,
        "shape": ["batch", NUM_KEYPOINTS, 3],
        "dtype": "float32",
        "meaning": "where somebody sees them, in the coordinates of uv_map; NaN is unknown, each "
        "number by itself",
    }
    return [image, keypoints] if config.takes_keypoints else [image]


def _outputs(config: HandNetConfig) -> list[dict]:
    map_size, error_size = config.uv_map_size, config.stage_sizes[-1]
    outputs = {
        "uv_map": (
            [map_size, map_size, 3],
            "x right and y down, 0 to 1 over the square; z away from the camera, relative to the "
            "wrist, in the square's sides",
        )
    }
    if config.tells_presence:
        outputs["presence_logit"] = [], "log odds that the square shows a right hand"
    if config.tells_confidence:
        outputs["texel_error"] = (
            [error_size, error_size],
            "the distance from the truth to expect of each texel, in the square's sides",
        )
    return [
        {"name": name, "shape": ["batch", *shape], "dtype": "float32", "meaning": meaning}
        for name, (shape, meaning) in outputs.items()
    ]


def with_card(program: bytes, card: dict) -> bytes:
    """The program, and behind it a zip archive with the card."""
    content = io.BytesIO(program)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date, so that equal models give equal files.
        info = zipfile.ZipInfo(f"{CARD_NAME}.json", (1980, 1, 1, 0, 0, 0))
        archive.writestr(info, json.dumps(card), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def card_tables(card: dict) -> dict[str, np.ndarray]:
    """The card's tables as arrays, by the names of the outputs that they are in ONNX files."""
    regressor = card["keypoint_regressor"]
    dense = np.zeros((len(KEYPOINT_NAMES), len(card["vertex_texels"])), np.float32)
    dense[regressor["keypoints"], regressor["vertices"]] = regressor["weights"]
    return {
        "vertex_texels": np.array(card["vertex_texels"], np.int32),
        "vertex_weights": np.array(card["vertex_weights"], np.float32),
        "keypoint_regressor": dense,
        "bone_edges": np.array(card["bone_edges"], np.int32),
        "mean_bone_length_mm": np.array(card["mean_bone_length_mm"], np.float32),
        "faces": np.array(card["faces"], np.int32),
    }


def _onnx(function: Callable, card: dict) -> bytes:
    try:
        from i2uv_jax.inference.onnx_model import onnx_model
    except ImportError as error:
        raise MissingRuntimeError("onnx", error) from error
    inputs = {
        entry["name"]: (tuple(entry["shape"][1:]), np.dtype(entry["dtype"]))
        for entry in card["inputs"]
    }
    model = onnx_model(function, inputs, constants=card_tables(card))
    model.metadata_props.add(key=CARD_NAME, value=json.dumps(card))
    return model.SerializeToString()


def _litert(
    function: Callable,
    card: dict,
    int8: str | None,
    calibration: Sequence[dict[str, np.ndarray]],
) -> bytes:
    names = [entry["name"] for entry in card["inputs"]]
    try:
        from i2uv_jax.inference.litert_graph import litert_model

        model = litert_model(function, dict(zip(names, _specs(card, 1), strict=True)))
        if int8 is None:
            return model
        from i2uv_jax.inference.litert_int8 import with_int8_convolutions, with_int8_weights
    except ImportError as error:
        raise MissingRuntimeError("litert", error) from error
    if int8 == "weights":
        return with_int8_weights(model)
    return with_int8_convolutions(
        model, [{name: hand[name][None] for name in names} for hand in calibration]
    )


def _rounded(values: np.ndarray) -> list:
    """To seven decimals: float32 holds no more of numbers below 1."""
    return np.round(values.astype(np.float64), 7).tolist()
