"""HO-3D, versions 2 and 3, as their archives unpack.

    train.txt, evaluation.txt             one SEQUENCE/FRAME a line
    SPLIT/SEQUENCE/rgb/FRAME.png          .jpg in version 3
    SPLIT/SEQUENCE/meta/FRAME.pkl         annotations; read without running them
    evaluation_{xyz,verts}.json           the evaluation's truth, where released

Facts from the owners' scripts (github.com/shreyashampali/ho3d). Metres; their frame is OpenGL's (x
right, y up, the hand on negative z) and becomes ours here; joints stand in MANO's order with the
tips of thumb to little finger behind them; all right hands. Poses are absolute (no mean to add).
Evaluation frames say where the wrist is and where the hand's box, no more. That the truth of the
evaluation is in the same frame and order is taken from others' readers, not from its owners.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.hand_photo import (
    PIXEL_CENTRE,
    HandPhoto,
    camera_values,
    from_mano_order,
    points,
)
from i2uv_jax.restricted_pickle import read_restricted_pickle

VERSIONS = ("v2", "v3")
SPLITS = ("train", "evaluation")

_SUFFIXES = (".png", ".jpg")

_FROM_OPENGL = np.array([1, -1, -1], np.float32)


def archive(version: str) -> Archive:
    """Where a version is to be had."""
    return Archive(
        name=f"HO-3D {version}",
        page="https://github.com/shreyashampali/ho3d",
        terms="for academic research only, no commercial use",
    )


@dataclass(frozen=True)
class Ho3dFrame:
    """A frame's picture and, in the training split, its MANO parameters in the owners' frame."""

    photo: HandPhoto
    pose: Float[np.ndarray, "48"] | None = None
    betas: Float[np.ndarray, "10"] | None = None
    translation_m: Float[np.ndarray, "3"] | None = None

    def to_camera(self, mano_points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points of MANO posed with `pose` and `betas`, in our camera frame."""
        return (np.asarray(mano_points) + self.translation_m) * _FROM_OPENGL


def frame_names(folder: Path, version: str, split: str) -> list[str]:
    """The frames of a split as the owners list them, "SEQUENCE/FRAME".

    Raises:
      ValueError: the list is missing or names something else.
    """
    path = archive(version).require(folder / f"{split}.txt")
    names = path.read_text(encoding="utf-8-sig").split()
    for name in names:
        if name.count("/") != 1 or ".." in name:
            raise ValueError(f"{path}: expected SEQUENCE/FRAME in each line, got {name!r}")
    return names


def annotation_files(folder: Path, split: str, names: Sequence[str]) -> list[Path]:
    """The files that tell of a split's frames, the evaluation's truth among them."""
    files = [folder / f"{split}.txt"]
    if split == "evaluation":
        files += [folder / f"evaluation_{name}.json" for name in ("xyz", "verts")]
    return files + [_meta_file(folder, split, name) for name in names]


def read_frame(folder: Path, version: str, split: str, name: str) -> Ho3dFrame | None:
    """One frame; None if its hand is not annotated.

    Raises:
      ValueError: a file is missing, or holds something else than it should.
    """
    sequence, frame = name.split("/")
    place = folder / split / sequence
    path = archive(version).require(_meta_file(folder, split, name))
    content = read_restricted_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected annotations by name, got {type(content).__name__}")
    joints = content.get("handJoints3D")
    if joints is None or content.get("camMat") is None:
        return None
    focal_px, principal_px = camera_values(
        content["camMat"], first_pixel=PIXEL_CENTRE, where=f"{path}: camMat"
    )
    camera = {
        "name": f"{split}/{name}",
        "image_path": _picture(place / "rgb" / frame, version),
        "focal_px": focal_px,
        "principal_px": principal_px,
    }
    if split == "evaluation":
        wrist = points(joints, 1, f"{path}: handJoints3D")[0] * _FROM_OPENGL
        box = np.asarray(content.get("handBoundingBox"), np.float64)
        if box.shape != (4,):
            raise ValueError(f"{path}: handBoundingBox: expected four numbers")
        if not (box[:2] < box[2:]).all():
            raise ValueError(
                f"{path}: handBoundingBox: expected left < right and top < bottom, "
                f"got {' '.join(f'{edge:g}' for edge in box)}"
            )
        return Ho3dFrame(HandPhoto(**camera, wrist=wrist, box_xyxy=tuple(map(float, box))))
    keypoints = from_mano_order(points(joints, 21, f"{path}: handJoints3D")) * _FROM_OPENGL
    return Ho3dFrame(
        HandPhoto(**camera, keypoints=keypoints, wrist=keypoints[0]),
        pose=_parameters(content, "handPose", 48, path),
        betas=_parameters(content, "handBeta", 10, path),
        translation_m=_parameters(content, "handTrans", 3, path),
    )


def read_evaluation_truth(
    folder: Path, version: str
) -> tuple[Float[np.ndarray, "n 21 3"], Float[np.ndarray, "n 778 3"]]:
    """(keypoints, vertices) of the evaluation's frames in their listed order, in our frame.

    Raises:
      ValueError: the truth is not there, or not of as many frames.
    """
    own = archive(version)
    count = len(frame_names(folder, version, "evaluation"))
    joints = own.numbers(folder / "evaluation_xyz.json", (21, 3))
    vertices = own.numbers(folder / "evaluation_verts.json", (778, 3))
    if not len(joints) == len(vertices) == count:
        raise ValueError(
            f"{folder}/evaluation_xyz.json: expected {count} entries as in evaluation.txt and in "
            f"evaluation_verts.json ({len(vertices)}), got {len(joints)}"
        )
    keypoints = np.stack([from_mano_order(frame) for frame in joints])
    return keypoints * _FROM_OPENGL, vertices * _FROM_OPENGL


def _meta_file(folder: Path, split: str, name: str) -> Path:
    sequence, frame = name.split("/")
    return folder / split / sequence / "meta" / f"{frame}.pkl"


def _picture(stem: Path, version: str) -> Path:
    for suffix in _SUFFIXES:
        path = stem.with_name(stem.name + suffix)
        if path.exists():
            return path
    return archive(version).require(path)


def _parameters(content: dict, key: str, count: int, path: Path) -> np.ndarray:
    try:
        values = np.asarray(content[key], np.float32).reshape(count)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {key}: expected {count} numbers") from error
    return values
