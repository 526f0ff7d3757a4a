"""The files that `demo` and `predict` write for a picture: meshes, panel and numbers."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.earlier_results import files_named_before, is_others_mesh
from i2uv_jax.cli.hand_scenes import photo_scene, texel_mask
from i2uv_jax.cli.json_text import json_text
from i2uv_jax.cli.photo_hand import PhotoHand, hand_numbers, names_of_points
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.viewing.glb import SceneHand, glb_bytes
from i2uv_jax.viewing.panel import photo_panel
from i2uv_jax.viewing.png import png_bytes

_SUFFIXES = (".glb", ".png", ".json")


def write_hand_files(
    folder: Path,
    stem: str,
    size: tuple[int, int],
    hands: Sequence[PhotoHand],
    predictor: Predictor,
    *,
    image_name: str,
    seconds: float,
    panel_of: UInt8[np.ndarray, "h w 3"] | None,
    additional: dict | None = None,
    numbered_stem: str | None = None,
    other_stems: Collection[str] = (),
    show_errors: bool = False,
) -> list[Path]:
    """Writes STEM.glb, STEM.png (the panel) and, last, STEM.json; each whole or not at all.

    Of several hands STEM.glb holds all, and STEM_1.glb, STEM_2.glb, ... one each. Without a hand
    there is no mesh. Meshes and a panel that an earlier STEM.json names are removed if they are not
    written again, unless something else has taken a mesh's name since.

    Args:
      folder: where to; must exist.
      stem: the files' common name.
      size: the picture's width and height.
      hands: all its hands.
      predictor: what predicted them.
      image_name: how the JSON names the picture.
      seconds: what the prediction took.
      panel_of: the picture, for a panel of it; None leaves the panel out.
      additional: further entries of the JSON.
      numbered_stem: in place of STEM before the number of a hand.
      other_stems: those of other pictures' files, in lower case, which are never removed.
      show_errors: see `viewing.panel`.

    Returns:
      The paths.

    Raises:
      OSError: a file cannot be written.
    """
    width, height = size
    mesh_path, panel_path, numbers_path = (folder / f"{stem}{suffix}" for suffix in _SUFFIXES)
    own_paths = [mesh_path] * len(hands)
    if len(hands) > 1:
        name = stem if numbered_stem is None else numbered_stem
        own_paths = [folder / f"{name}_{number}.glb" for number in range(1, len(hands) + 1)]
    files: dict[Path, bytes] = {}
    if hands:
        scene = photo_scene(hands, predictor, width, height)
        meshes = _meshes(scene, mesh_path, own_paths)
        files = {path: glb_bytes(shown, predictor.atlas) for path, shown in meshes.items()}
    if panel_of is not None:
        predictions = [hand.prediction for hand in hands]
        panel = photo_panel(panel_of, predictions, texel_mask(predictor), show_errors=show_errors)
        files[panel_path] = png_bytes(panel)
    numbers = {
        "image": image_name,
        "model": predictor.name,
        "width": width,
        "height": height,
        "seconds": round(seconds, 4),
        "panel": None if panel_of is None else panel_path.name,
        **names_of_points(is_rigged=any(hand.rig is not None for hand in hands)),
        "hands": [
            {
                **hand_numbers(hand, width, height),
                "mesh": path.name,
                "vertices": len(hand.prediction.vertices_mm),
            }
            for hand, path in zip(hands, own_paths, strict=True)
        ],
        **(additional or {}),
    }
    for path, content in files.items():
        write_atomically(path, content)
    for path in files_named_before(folder, stem) - set(files):
        # What by now belongs to another picture is left alone: as its own, or as one of its hands.
        numbered = path.stem.rpartition("_")[0]
        is_another_s = path.stem.lower() in other_stems or path.with_suffix(".json").exists()
        is_another_s |= numbered != stem and numbered.lower() in other_stems
        if path.stem != stem and is_another_s:
            continue
        if path.suffix != ".glb" or not is_others_mesh(path):
            path.unlink(missing_ok=True)
    write_atomically(numbers_path, (json_text(numbers) + "\n").encode())
    return [*files, numbers_path]


def _meshes(
    scene: list[SceneHand], common_path: Path, own_paths: list[Path]
) -> dict[Path, list[SceneHand]]:
    """What each file shows: all hands together and, of several, each one about its wrist."""
    meshes = {common_path: scene}
    if len(scene) > 1:
        for path, hand in zip(own_paths, scene, strict=True):
            meshes[path] = [replace(hand, wrist_mm=(0.0, 0.0, 0.0))]
    return meshes
