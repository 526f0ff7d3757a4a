"""FreiHAND, HO-3D and HIC as `Benchmark`s, whatever of them is there.

What is missing or wrong becomes the problem of its sample; only a list that nothing can be matched
to is an error. The facts about files and frames are in `data/layouts`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from i2uv_jax.data.layouts import hic, ho3d
from i2uv_jax.data.layouts.freihand import FREIHAND
from i2uv_jax.data.layouts.hand_photo import HandPhoto, camera_values, from_mano_order
from i2uv_jax.evaluate.depth_pictures import read_ho3d_depth, read_millimetre_depth
from i2uv_jax.evaluate.sample import (
    NUM_MANO_VERTICES,
    Benchmark,
    Sample,
    truths,
    unknown,
    with_truth,
)
from i2uv_jax.evaluate.visibility import keypoints_in_sight, visible_share
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.hand.mano import KEYPOINT_JOINTS, Mano

_OPENGL = np.array([1, -1, -1], np.float32)


def freihand(folder: Path, mano: Mano | None = None) -> Benchmark:
    """The evaluation split.

    Args:
      mano: its faces tell which keypoints the hand itself hides, where the truth is there.

    Raises:
      ValueError: cameras or scales are missing or no numbers, or there is more truth than pictures.
    """
    FREIHAND.require(folder)
    cameras = FREIHAND.numbers(folder / "evaluation_K.json", (3, 3))
    scales = FREIHAND.numbers(folder / "evaluation_scale.json", ())
    count = len(cameras)
    if len(scales) != count:
        raise ValueError(f"{folder / 'evaluation_scale.json'}: expected {count} numbers")
    keypoints = truths(FREIHAND, folder / "evaluation_xyz.json", count, (NUM_KEYPOINTS, 3))
    vertices = truths(FREIHAND, folder / "evaluation_verts.json", count, (NUM_MANO_VERTICES, 3))
    samples = []
    for index in range(count):
        name = f"{index:08d}"
        photo = problem = None
        try:
            focal_px, principal_px = camera_values(
                cameras[index], first_pixel=0.0, where="evaluation_K.json"
            )
            path = folder / "evaluation" / "rgb" / f"{name}.jpg"
            photo = HandPhoto(name, path, focal_px, principal_px)
        except ValueError as error:
            problem = str(error)
        sample = Sample(name, photo, bone_m=float(scales[index]), problem=problem)
        sample = with_truth(sample, keypoints[index], vertices[index])
        if mano is not None and sample.problem is None:
            share = keypoints_in_sight(sample.keypoints, sample.vertices, mano.faces)
            sample = replace(sample, visible_share=share)
        samples.append(sample)
    return Benchmark("freihand", "FreiHAND", samples)


def ho3d_evaluation(folder: Path, version: str, mano: Mano | None = None) -> Benchmark:
    """The evaluation split of HO-3D `version`.

    Args:
      mano: its faces tell which part of a hand the object hides, where depth pictures lie beside
        the colour ones and the truth is there.

    Raises:
      ValueError: the list of frames is missing, or there is more truth than frames.
    """
    names = ho3d.frame_names(folder, version, "evaluation")
    own = ho3d.archive(version)
    joints = truths(own, folder / "evaluation_xyz.json", len(names), (NUM_KEYPOINTS, 3))
    vertices = truths(own, folder / "evaluation_verts.json", len(names), (NUM_MANO_VERTICES, 3))
    samples = []
    for name, (points, problem), (mesh, mesh_problem) in zip(names, joints, vertices, strict=True):
        sample = Sample(name, None)
        try:
            frame = ho3d.read_frame(folder, version, "evaluation", name)
            if frame is None:
                sample = Sample(name, None, problem="its hand is not annotated")
            else:
                sample = Sample(name, frame.photo, wrist=frame.photo.wrist)
        except ValueError as error:
            sample = Sample(name, None, problem=_without_path(error))
        sample = with_truth(
            sample, (from_mano_order(points) * _OPENGL, problem), (mesh * _OPENGL, mesh_problem)
        )
        sample = replace(sample, frame_of=_frame_of(*name.split("/")))
        samples.append(_with_visible_share(sample, mano, read_ho3d_depth))
    return Benchmark(
        f"ho3d-{version}",
        f"HO-3D {version}",
        samples,
        to_challenge=_to_ho3d,
        from_challenge=lambda joints: from_mano_order(joints) * _OPENGL,
        mirror=(1, -1, -1),
        scales_and_shifts=True,
    )


def hic_fits(folder: Path, mano: Mano | None = None) -> Benchmark:
    """All of HIC's fits; each hand's box is that of its mesh.

    Args:
      mano: for keypoints, which are regressed from the fits' meshes, and for the shares of hands
        that nothing hides; none of either without it.

    Raises:
      ValueError: the fits are missing.
    """
    samples = []
    for fit in hic.list_fits(folder):
        name = f"{fit.sequence}/{fit.frame}/{'left' if fit.is_left else 'right'}"
        try:
            photo = hic.read_fit(fit)
        except ValueError as error:
            samples.append(Sample(name, None, problem=_without_path(error)))
            continue
        keypoints = unknown(NUM_KEYPOINTS)
        if mano is not None:
            keypoints = mano.keypoint_regressor @ photo.vertices
        boxed = _boxed(photo)
        side = "left" if fit.is_left else "right"
        frame_of = _frame_of(f"{fit.sequence}/{side}", fit.frame)
        sample = Sample(name, boxed, keypoints, photo.vertices, frame_of=frame_of)
        samples.append(_with_visible_share(sample, mano, read_millimetre_depth))
    return Benchmark("hic", "HIC", samples)


def _to_ho3d(keypoints: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "21 3"]:
    joints = np.empty_like(keypoints)
    joints[list(KEYPOINT_JOINTS)] = keypoints * _OPENGL
    return joints


def _boxed(photo: HandPhoto) -> HandPhoto:
    place = photo.focal_px * photo.vertices[:, :2] / photo.vertices[:, 2:] + photo.principal_px
    box = tuple(float(edge) for edge in (*place.min(axis=0), *place.max(axis=0)))
    return replace(photo, box_xyxy=box)


def _with_visible_share(
    sample: Sample,
    mano: Mano | None,
    read_depth: Callable[[Path], Float[np.ndarray, "h w"] | None],
) -> Sample:
    """By the depth picture that belongs to the colour one, if there is one."""
    if mano is None or sample.photo is None or not np.isfinite(sample.vertices).all():
        return sample
    depth_m = read_depth(sample.photo.image_path)
    if depth_m is None:
        return sample
    photo = sample.photo
    faces = mano.faces[:, ::-1] if sample.is_left else mano.faces
    share = visible_share(sample.vertices, faces, depth_m, photo.focal_px, photo.principal_px)
    return replace(sample, visible_share=share)


def _frame_of(sequence: str, frame: str) -> tuple[str, int] | None:
    """None for frames whose names are no numbers."""
    return (sequence, int(frame)) if frame.isdecimal() else None


def _without_path(error: ValueError) -> str:
    """An error's text such that those of one kind look alike: files by their kind, not path, and
    nothing of where the whole archive is to be had."""
    path, _, what = str(error).partition(": ")
    kind = {"rgb": "picture", "meta": "meta"}.get(Path(path).parent.name, "fit")
    return f"{kind}: {what.partition(';')[0]}"
