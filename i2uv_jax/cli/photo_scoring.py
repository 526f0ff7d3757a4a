"""Annotated pictures read, answered and scored, one after the other, for `i2uv eval photos`."""

import argparse
import contextlib
import fnmatch
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.interruption import InterruptWatch

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.evaluate.photo_answers import Answerer, AskedPhoto, PhotoAnswer
    from i2uv_jax.evaluate.photos import PhotoScore
    from i2uv_jax.imaging.annotations import Annotation
    from i2uv_jax.imaging.crop import SquareCrop

    Scored = tuple[PhotoScore, np.ndarray | None]
    """A picture's score, and the picture with the hand over it if there is one."""

NOT_FOUND = "no hand found"
"""Why a picture that could be read has no prediction."""

_TILE_PX = 192

_KINDS = {"keypoints_2d": "keypoints_2d", "keypoints_3d_mm": "keypoints_3d"}
"""Of keypoints: attributes of `Annotation`, and the file's names for them."""


def score_answers(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    answer: "Answerer",
    watch: InterruptWatch,
) -> "tuple[list[Scored], list[float]]":
    """Scores, and the seconds a picture took in each batch."""
    from i2uv_jax.evaluate.photos import failed_photo, score_photo

    scored = []
    seconds = []
    for photos in _batches(_readable(args, annotations, watch, scored.append), args.batch):
        start = time.perf_counter()
        with device_mishaps(f"the model failed on {len(photos)} pictures at once"):
            answers = answer(photos)
        seconds.append((time.perf_counter() - start) / len(photos))
        for photo, found in zip(photos, answers, strict=True):
            tile = _tile(photo.pixels, photo.crop)
            if found is None:
                score = failed_photo(photo.annotation, photo.hand, NOT_FOUND)
            else:
                score = score_photo(
                    photo.annotation, found.handedness, found.keypoints_2d, found.keypoints_3d_mm
                )
                if score.failure is None:
                    tile = _with_hand(tile, photo.crop, found)
            scored.append((score, tile))
    return scored, seconds


def score_file(
    args: argparse.Namespace, annotations: "list[Annotation]", predictions: "list[Annotation]"
) -> "list[Scored]":
    """The same for keypoints from a file; pictures that cannot be read are only not shown.

    A tool may give keypoints in the picture or in space alone, but then for all pictures: one that
    lacks what others have, and what can be scored, counts as a missing hand.
    """
    from i2uv_jax.evaluate.photos import failed_photo, score_photo
    from i2uv_jax.imaging.crop import BoxError
    from i2uv_jax.imaging.read import ImageError, read_photo

    by_file = {prediction.file: prediction for prediction in predictions}
    unknown = sorted(set(by_file) - {annotation.file for annotation in annotations})
    if unknown:
        raise CommandError(f"{args.pred}: {unknown[0]} is none of the annotated pictures")
    given = [kind for kind in _KINDS if any(getattr(p, kind) is not None for p in predictions)]
    scored = []
    for annotation in annotations:
        hand, found = _hand(annotation, args.left), by_file.get(annotation.file)
        if found is not None and found.problem is not None:
            scored.append((failed_photo(annotation, hand, f"prediction: {found.problem}"), None))
            continue
        if found is None or (found.keypoints_2d is None and found.keypoints_3d_mm is None):
            scored.append((failed_photo(annotation, hand, NOT_FOUND), None))
            continue
        asked = [kind for kind in given if getattr(annotation, kind) is not None]
        if lacking := [_KINDS[kind] for kind in asked if getattr(found, kind) is None]:
            problem = f"prediction: no {lacking[0]!r}, which others have"
            scored.append((failed_photo(annotation, hand, problem), None))
            continue
        points = None if found.keypoints_2d is None else found.keypoints_2d[:, :2]
        score, tile = score_photo(annotation, hand, points, found.keypoints_3d_mm), None
        if points is not None and score.failure is None:
            with contextlib.suppress(ImageError, BoxError):
                photo = read_photo(args.folder / annotation.file)
                crop = _crop(annotation, photo)
                tile = _with_skeleton(_tile(photo, crop), crop, points)
        scored.append((score, tile))
    return scored


def _readable(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    watch: InterruptWatch,
    failed: "Callable[[Scored], None]",
) -> "Iterator[AskedPhoto]":
    """The pictures that can be read; of the others the score goes to `failed` and a line to the
    terminal."""
    from tqdm import tqdm

    from i2uv_jax.evaluate.photo_answers import AskedPhoto
    from i2uv_jax.evaluate.photos import failed_photo
    from i2uv_jax.imaging.crop import BoxError
    from i2uv_jax.imaging.read import ImageError, read_photo

    on_terminal = sys.stderr.isatty()
    for annotation in tqdm(annotations, unit="photo", disable=not on_terminal):
        watch.check()
        hand = _hand(annotation, args.left)
        try:
            photo = read_photo(args.folder / annotation.file)
            crop = _crop(annotation, photo)
        except (ImageError, BoxError) as error:
            named = isinstance(error, ImageError)
            message = str(error) if named else f"{annotation.file}: {error}"
            tqdm.write(f"i2uv eval: error: {message}", file=sys.stderr)
            failed((failed_photo(annotation, hand, message), None))
            continue
        yield AskedPhoto(annotation, hand, photo, crop)


def _batches(items: Iterator, size: int) -> Iterator[list]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def _tile(photo: "np.ndarray", crop: "SquareCrop") -> "np.ndarray":
    from i2uv_jax.imaging.crop import extract

    return extract(photo, crop, _TILE_PX)


def _with_hand(tile: "np.ndarray", crop: "SquareCrop", found: "PhotoAnswer") -> "np.ndarray":
    """The mesh, if there is one, and the keypoints over it."""
    from i2uv_jax.viewing.overlay import overlay_mesh

    mesh = found.prediction
    if mesh is not None:
        vertices = _TILE_PX * crop.to_crop(mesh.vertices_2d)
        tile = overlay_mesh(tile, vertices, mesh.vertices_mm, mesh.faces, opacity=0.5)
    return _with_skeleton(tile, crop, found.keypoints_2d)


def _with_skeleton(tile: "np.ndarray", crop: "SquareCrop", points: "np.ndarray") -> "np.ndarray":
    from i2uv_jax.viewing.overlay import overlay_skeleton

    return overlay_skeleton(tile, _TILE_PX * crop.to_crop(points))


def _hand(annotation: "Annotation", left_patterns: list[str]) -> str | None:
    """The side, where the annotation or the command line names it: who names the left hands says
    that the others are right ones."""
    if annotation.hand or not left_patterns:
        return annotation.hand
    is_left = any(fnmatch.fnmatch(annotation.file, pattern) for pattern in left_patterns)
    return "left" if is_left else "right"


def _crop(annotation: "Annotation", photo: "np.ndarray") -> "SquareCrop":
    """The square that the model looks at."""
    from i2uv_jax.imaging.crop import crop_from_box, crop_whole

    height, width, _ = photo.shape
    if annotation.box_xyxy is None:
        return crop_whole(width, height)
    return crop_from_box(annotation.box_xyxy, width, height)
