"""The files that `demo` and `predict` write for a picture: meshes, panel and numbers."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from i2uv_jax.atomic_file import write_atomically
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.rig import Rig, rig_of
from i2uv_jax.inference.placement import wrists_mm
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.viewing.glb import SceneHand, glb_bytes
from i2uv_jax.viewing.panel import photo_panel
from i2uv_jax.viewing.png import png_bytes
from i2uv_jax.viewing.track_motions import MovingHand
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
        probe.unlink(missing_ok=True)  # several commands may share the folder
    except FileExistsError:
        raise CommandError(f"--out {folder}: is a file, expected a folder") from None
    except OSError as error:
        raise CommandError(f"--out {folder}: cannot be written to ({error.strerror})") from None


@dataclass(frozen=True)
class PhotoHand:
    """One hand of a photo, as it is written."""

    prediction: HandPrediction
    box_xyxy: tuple[float, float, float, float] | None
    """As it was found or given; None stands for the whole picture."""
    score: float | None = None
    """The detector's; None where nothing was detected."""
    rig: Rig | None = None
    """With it the mesh is written on a skeleton, and the joints' rotations beside the keypoints."""

    def rigged(self) -> "PhotoHand":
        """The same with a rig."""
        is_left = self.prediction.handedness == "left"
        return replace(self, rig=rig_of(self.prediction.vertices_mm, is_left=is_left))

    @property
    def scores(self) -> dict[str, float | None]:
        """ "score" from 0 to 1, and of models that tell it "presence".

        The score is the detector's, times the presence where there is one; the presence alone where
        nothing was detected, and None with neither.
        """
        presence = self.prediction.presence
        if presence is None:
            return {"score": None if self.score is None else round(self.score, 4)}
        score = float(presence) * (1.0 if self.score is None else self.score)
        return {"score": round(score, 4), "presence": round(float(presence), 4)}

    @property
    def keypoint_scores(self) -> dict[str, list[float]]:
        """Of models that tell, "keypoint_error_mm" and "keypoint_score" of the 21 keypoints as
        `HandPrediction` has them."""
        if self.prediction.keypoint_error_mm is None:
            return {}
        names = ("keypoint_error_mm", "keypoint_score")
        return {name: _rounded(getattr(self.prediction, name)) for name in names}


def write_hand_files(
    folder: Path,
    stem: str,
    photo: UInt8[np.ndarray, "h w 3"],
    hands: Sequence[PhotoHand],
    predictor: Predictor,
    *,
    image_name: str,
    seconds: float,
    additional: dict | None = None,
    numbered_stem: str | None = None,
    other_stems: Collection[str] = (),
    with_panel: bool = True,
    show_errors: bool = False,
) -> list[Path]:
    """Writes STEM.glb, STEM.png (the panel) and, last, STEM.json; each whole or not at all.

    Of several hands STEM.glb holds all, and STEM_1.glb, STEM_2.glb, ... one each. Without a hand
    there is no mesh. Meshes and a panel that an earlier STEM.json names are removed if they are not
    written again.

    Args:
      folder: where to; must exist.
      stem: the files' common name.
      photo: the whole picture.
      hands: all its hands.
      predictor: what predicted them.
      image_name: how the JSON names the picture.
      seconds: what the prediction took.
      additional: further entries of the JSON.
      numbered_stem: in place of STEM before the number of a hand.
      other_stems: those of other pictures' files, in lower case, which are never removed.
      with_panel: False leaves the panel out.
      show_errors: see `viewing.panel`.

    Returns:
      The paths.

    Raises:
      OSError: a file cannot be written.
    """
    height, width, _ = photo.shape
    mask = _texel_mask(predictor)
    mesh_path, panel_path, numbers_path = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    meshes: dict[Path, list[SceneHand]] = {}
    if hands:
        wrists = wrists_mm([hand.prediction for hand in hands], width, height)
        in_scene = _scene(hands, mask, wrists - wrists[0])
        meshes[mesh_path] = in_scene
    own_paths = [mesh_path] * len(hands)
    if len(hands) > 1:
        name = stem if numbered_stem is None else numbered_stem
        own_paths = [folder / f"{name}_{number}.glb" for number in range(1, len(hands) + 1)]
        for path, hand in zip(own_paths, in_scene, strict=True):
            meshes[path] = [replace(hand, wrist_mm=(0.0, 0.0, 0.0))]
    files: dict[Path, bytes] = {
        path: glb_bytes(scene, predictor.atlas) for path, scene in meshes.items()
    }
    if with_panel:
        predictions = [hand.prediction for hand in hands]
        panel = photo_panel(photo, predictions, mask, show_errors=show_errors)
        files[panel_path] = png_bytes(panel)
    numbers = {
        "image": image_name,
        "model": predictor.name,
        "width": width,
        "height": height,
        "seconds": round(seconds, 4),
        "panel": panel_path.name if with_panel else None,
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
    for path in _named_before(folder, stem) - set(files):
        # What by now belongs to another picture is left alone.
        is_another_s = path.stem.lower() in other_stems or path.with_suffix(".json").exists()
        if path.stem == stem or not is_another_s:
            path.unlink(missing_ok=True)
    write_atomically(numbers_path, (_json_text(numbers) + "\n").encode())
    return [*files, numbers_path]


def _named_before(folder: Path, stem: str) -> set[Path]:
    """Meshes and panel that STEM.json names; none if it is missing or somebody else's."""
    try:
        numbers = json.loads((folder / f"{stem}.json").read_bytes())
        names = {str(hand["mesh"]) for hand in numbers["hands"]}
        panel = numbers.get("panel")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()
    own = re.compile(rf"{re.escape(stem)}(_hand)*_\d+\.glb")
    found = {folder / name for name in names if own.fullmatch(name)}
    if names:
        found.add(folder / f"{stem}.glb")
    if panel == f"{stem}.png":
        found.add(folder / panel)
    return found


def hand_numbers(hand: PhotoHand, width: int, height: int) -> dict:
    """What JSON files tell of a hand: its side, scores, box and keypoints."""
    return {
        "handedness": hand.prediction.handedness,
        **hand.scores,
        "box_xyxy": _rounded(hand.box_xyxy or (0, 0, width, height)),
        "keypoints_2d": _rounded(hand.prediction.keypoints_2d),
        "keypoints_3d": _rounded(hand.prediction.keypoints_3d_mm),
        **hand.keypoint_scores,
        **(
            {} if hand.rig is None else {"joint_rotations": _rounded(hand.rig.joint_quaternions, 5)}
        ),
    }


def frame_scene(
    hands: Mapping[int, PhotoHand], predictor: Predictor, width: int, height: int
) -> list[SceneHand]:
    """The hands of a video's frame by their tracks, whose names they get; the camera, which all
    frames share, is the origin."""
    wrists = wrists_mm([hand.prediction for hand in hands.values()], width, height)
    scene = _scene(list(hands.values()), _texel_mask(predictor), wrists)
    return [replace(hand, name=f"track_{track}") for track, hand in zip(hands, scene, strict=True)]


def moving_hands(tracks: Sequence[int], scene: Sequence[SceneHand]) -> list[MovingHand]:
    """The same hands, which have rigs, for an animation."""
    return [
        MovingHand(track, hand.is_left, hand.rig, hand.rig.wrist + hand.wrist_mm, hand.texture)
        for track, hand in zip(tracks, scene, strict=True)
    ]


def _texel_mask(predictor: Predictor) -> Bool[np.ndarray, "m m"]:
    return build_tables(predictor.hand.atlas, predictor.config.uv_map_size).texel_mask


def _scene(
    hands: Sequence[PhotoHand],
    mask: Bool[np.ndarray, "m m"],
    wrists: Float[np.ndarray, "n 3"],
) -> list[SceneHand]:
    return [
        SceneHand(
            hand.prediction.vertices_mm,
            uv_map_colours(hand.prediction.uv_map, mask, background=None),
            is_left=hand.prediction.handedness == "left",
            wrist_mm=tuple(wrist.tolist()),
            rig=hand.rig,
        )
        for hand, wrist in zip(hands, wrists, strict=True)
    ]


def _json_text(value: Any, depth: int = 0) -> str:
    """Indented JSON in which a list of plain values, such as a point, has one line.

    (`json` has a fast encoder for that line, and a slow one for all that it indents itself.)
    """
    if isinstance(value, dict) and value:
        brackets = "{}"
        parts = [f"{json.dumps(key)}: {_json_text(own, depth + 1)}" for key, own in value.items()]
    elif isinstance(value, list) and any(isinstance(own, dict | list) for own in value):
        brackets = "[]"
        parts = [_json_text(own, depth + 1) for own in value]
    else:
        return json.dumps(value)
    line = "\n" + " " * depth
    return brackets[0] + line + " " + f",{line} ".join(parts) + line + brackets[1]


def _rounded(values, decimals: int = 3) -> list:
    """Nested lists; by default of micrometres, or thousandths of a pixel."""
    return np.round(np.asarray(values, np.float64), decimals).tolist()
