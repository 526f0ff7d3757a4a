"""The three files that `demo` and `predict` write for a picture: mesh, panel and numbers."""

import json
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.viewing.glb import glb_bytes
from i2uv_jax.viewing.panel import png_bytes, prediction_panel
from i2uv_jax.viewing.uv_colours import uv_map_colours

SUFFIXES = (".glb", ".png", ".json")


def make_output_folder(folder: Path) -> None:
    """Makes the folder, if need be with those above it.

    Raises:
      CommandError: it cannot be made, or is not a folder that can be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".i2uv_write_test"
        write_atomically(probe, b"")
        probe.unlink()
    except FileExistsError:
        raise CommandError(f"--out {folder}: is a file, expected a folder") from None
    except OSError as error:
        raise CommandError(f"--out {folder}: cannot be written to ({error.strerror})") from None


def write_hand_files(
    folder: Path,
    stem: str,
    photo: UInt8[np.ndarray, "h w 3"],
    prediction: HandPrediction,
    predictor: Predictor,
    *,
    image_name: str,
    box_xyxy: tuple[float, float, float, float] | None,
    seconds: float,
    additional: dict | None = None,
) -> list[Path]:
    """Writes STEM.glb, STEM.png and, last, STEM.json; each whole or not at all.

    Args:
      folder: where to; must exist.
      stem: the files' common name.
      photo: the whole picture.
      prediction: its one hand.
      predictor: what predicted it.
      image_name: how the JSON names the picture.
      box_xyxy: the hand's box as it was given; None stands for the whole picture.
      seconds: what the prediction took.
      additional: further entries of the JSON.

    Returns:
      The three paths.

    Raises:
      OSError: a file cannot be written.
    """
    height, width, _ = photo.shape
    mask = build_tables(predictor.hand.atlas, predictor.config.uv_map_size).texel_mask
    paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    mesh_path, panel_path, numbers_path = paths
    mesh = glb_bytes(
        prediction.vertices_mm,
        predictor.hand.atlas,
        uv_map_colours(prediction.uv_map, mask, background=None),
        is_left=prediction.handedness == "left",
    )
    panel = png_bytes(prediction_panel(photo, prediction, mask))
    numbers = {
        "image": image_name,
        "model": predictor.name,
        "width": width,
        "height": height,
        "seconds": round(seconds, 4),
        "hands": [
            {
                "handedness": prediction.handedness,
                "box_xyxy": _rounded(box_xyxy or (0, 0, width, height)),
                "keypoints_2d": _rounded(prediction.keypoints_2d),
                "keypoints_3d": _rounded(prediction.keypoints_3d_mm),
                "mesh": mesh_path.name,
                "vertices": len(prediction.vertices_mm),
            }
        ],
        **(additional or {}),
    }
    write_atomically(mesh_path, mesh)
    write_atomically(panel_path, panel)
    write_atomically(numbers_path, _json_text(numbers).encode())
    return paths


def _json_text(numbers: dict) -> str:
    """Indented JSON with each list of plain numbers, such as a point, on one line."""
    text = json.dumps(numbers, indent=1)
    # A string holds no raw line break, so nothing inside one can match.
    return re.sub(r"\[\n[-\d.,\se]+\]", lambda found: " ".join(found[0].split()), text) + "\n"


def _rounded(values) -> list:
    """Nested lists with three decimals: micrometres, or thousandths of a pixel."""
    return np.round(np.asarray(values, np.float64), 3).tolist()
