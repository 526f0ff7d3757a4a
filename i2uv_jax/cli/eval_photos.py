"""`i2uv eval photos`: how good a model is on a folder of annotated pictures."""

import argparse
import contextlib
import csv
import fnmatch
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.evaluate.photos import PhotoScore
    from i2uv_jax.imaging.annotations import Annotation
    from i2uv_jax.imaging.crop import SquareCrop
    from i2uv_jax.inference.predictor import Predictor

_TILE_PX = 192

_DESCRIPTION = """Score a model on a folder of pictures with annotations.json (the format is
described in i2uv_jax/imaging/annotations.py), or, with --pred, any other tool's keypoints in a file
of the same format. Writes metrics.json, samples.csv and overlays.png: the pictures with the
predicted hand over them, the best first, those without keypoints last."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv eval`."""
    photos = verbs.add_parser(
        "photos", help="a folder of annotated pictures", description=_DESCRIPTION
    )
    photos.add_argument("folder", type=Path, metavar="DIR", help="pictures and annotations.json")
    photos.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    predicted_by = photos.add_mutually_exclusive_group()
    predicted_by.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    predicted_by.add_argument(
        "--pred",
        type=Path,
        metavar="FILE",
        help="predicted keypoints; a picture that is not in it counts as a hand not found",
    )
    photos.add_argument(
        "--left",
        default=[],
        nargs="+",
        metavar="PATTERN",
        help="names of pictures that show left hands, where annotations do not say it: '*_l.jpg'",
    )
    photos.add_argument(
        "--batch", type=positive_int, default=16, metavar="N", help="pictures at a time (16)"
    )
    photos.set_defaults(run=run_photos)


def run_photos(args: argparse.Namespace) -> int:
    """Scores, writes and prints; returns the process's exit code."""
    from i2uv_jax.imaging.annotations import ANNOTATIONS

    annotations = _read(args.folder / ANNOTATIONS)
    if not annotations:
        raise CommandError(f"{args.folder / ANNOTATIONS}: names no picture")
    predictions = None if args.pred is None else _read(args.pred)
    with InterruptWatch() as watch:
        from i2uv_jax.cli.hand_files import make_output_folder
        from i2uv_jax.evaluate.photos import summarize
        from i2uv_jax.inference.predictor import load_model

        if predictions is None:
            try:
                predictor = load_model(args.model, batch_size=min(args.batch, len(annotations)))
            except ValueError as error:
                raise CommandError(error) from error
            make_output_folder(args.out)
            name, scored = predictor.name, _score_model(args, annotations, predictor, watch)
        else:
            make_output_folder(args.out)
            name, scored = args.pred.name, _score_file(args, annotations, predictions)
        summary = {"model": name, **summarize([score for score, _ in scored])}
        try:
            _write(args.out, summary, scored)
        except OSError as error:
            raise CommandError(
                f"--out {args.out}: results cannot be written ({error.strerror or error})",
                EXIT_FAILED,
            ) from error
    _print(summary)
    print(f"metrics.json, samples.csv, overlays.png: written to {args.out}")
    # A hand that another tool did not find is a result, a picture that cannot be read a failure.
    return EXIT_FAILED if summary["failed"] and predictions is None else 0


def _read(path: Path) -> "list[Annotation]":
    from i2uv_jax.imaging.annotations import read_annotations

    try:
        return read_annotations(path)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file") from None
    except ValueError as error:
        raise CommandError(error) from error


def _score_model(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    predictor: "Predictor",
    watch: InterruptWatch,
) -> "list[tuple[PhotoScore, np.ndarray | None]]":
    """Each picture's score, and the picture with the hand over it if there is one."""
    from tqdm import tqdm

    from i2uv_jax.evaluate.photos import failed_photo, score_photo
    from i2uv_jax.imaging.crop import BoxError, extract
    from i2uv_jax.imaging.read import ImageError, read_photo
    from i2uv_jax.viewing.overlay import overlay_mesh, overlay_skeleton

    scored = []
    with tqdm(total=len(annotations), unit="photo", disable=not sys.stderr.isatty()) as bar:
        for first in range(0, len(annotations), args.batch):
            usable = []
            for annotation in annotations[first : first + args.batch]:
                watch.check()
                hand = _hand(annotation, args.left)
                try:
                    photo = read_photo(args.folder / annotation.file)
                    usable.append((annotation, hand, photo, _crop(annotation, photo)))
                except (ImageError, BoxError) as error:
                    named = isinstance(error, ImageError)
                    message = str(error) if named else f"{annotation.file}: {error}"
                    tqdm.write(f"i2uv eval: error: {message}", file=sys.stderr)
                    scored.append((failed_photo(annotation, hand, message), None))
            if usable:
                predictions = predictor(
                    [photo for *_, photo, _ in usable],
                    handedness=[hand for _, hand, *_ in usable],
                    box_xyxy=[annotation.box_xyxy for annotation, *_ in usable],
                )
                for (annotation, hand, photo, crop), prediction in zip(
                    usable, predictions, strict=True
                ):
                    keypoints = prediction.keypoints_2d, prediction.keypoints_3d_mm
                    tile = overlay_mesh(
                        extract(photo, crop, _TILE_PX),
                        _TILE_PX * crop.to_crop(prediction.vertices_2d),
                        prediction.vertices_mm,
                        prediction.faces,
                        opacity=0.5,
                    )
                    tile = overlay_skeleton(tile, _TILE_PX * crop.to_crop(keypoints[0]))
                    scored.append((score_photo(annotation, hand, *keypoints), tile))
            bar.update(len(annotations[first : first + args.batch]))
    return scored


def _score_file(
    args: argparse.Namespace, annotations: "list[Annotation]", predictions: "list[Annotation]"
) -> "list[tuple[PhotoScore, np.ndarray | None]]":
    """The same for keypoints from a file; pictures that cannot be read are only not shown."""
    from i2uv_jax.evaluate.photos import failed_photo, score_photo
    from i2uv_jax.imaging.crop import BoxError, extract
    from i2uv_jax.imaging.read import ImageError, read_photo
    from i2uv_jax.viewing.overlay import overlay_skeleton

    by_file = {prediction.file: prediction for prediction in predictions}
    unknown = sorted(set(by_file) - {annotation.file for annotation in annotations})
    if unknown:
        raise CommandError(f"{args.pred}: {unknown[0]} is none of the annotated pictures")
    scored = []
    for annotation in annotations:
        hand, found = _hand(annotation, args.left), by_file.get(annotation.file)
        if found is None or (found.keypoints_2d is None and found.keypoints_3d_mm is None):
            scored.append((failed_photo(annotation, hand, "no hand found"), None))
            continue
        points = None if found.keypoints_2d is None else found.keypoints_2d[:, :2]
        tile = None
        if points is not None:
            with contextlib.suppress(ImageError, BoxError):
                photo = read_photo(args.folder / annotation.file)
                crop = _crop(annotation, photo)
                tile = overlay_skeleton(
                    extract(photo, crop, _TILE_PX), _TILE_PX * crop.to_crop(points)
                )
        scored.append((score_photo(annotation, hand, points, found.keypoints_3d_mm), tile))
    return scored


def _hand(annotation: "Annotation", left_patterns: list[str]) -> str:
    is_left = any(fnmatch.fnmatch(annotation.file, pattern) for pattern in left_patterns)
    return annotation.hand or ("left" if is_left else "right")


def _crop(annotation: "Annotation", photo: "np.ndarray") -> "SquareCrop":
    """The square that the model looks at."""
    from i2uv_jax.imaging.crop import crop_from_box, crop_whole

    height, width, _ = photo.shape
    if annotation.box_xyxy is None:
        return crop_whole(width, height)
    return crop_from_box(annotation.box_xyxy, width, height)


def _write(
    folder: Path, summary: dict, scored: "list[tuple[PhotoScore, np.ndarray | None]]"
) -> None:
    import numpy as np

    from i2uv_jax.atomic_file import write_atomically
    from i2uv_jax.viewing.contact_sheet import contact_sheet
    from i2uv_jax.viewing.panel import png_bytes

    write_atomically(folder / "metrics.json", (json.dumps(summary, indent=1) + "\n").encode())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "hand", "error_over_box", "aligned_keypoint_mm", "failure"])
    for score, _ in scored:
        error = score.mean_error
        writer.writerow(
            [
                score.file,
                score.hand,
                "" if error is None else f"{error:.4f}",
                "" if score.aligned_mm is None else f"{score.aligned_mm:.3f}",
                score.failure or "",
            ]
        )
    write_atomically(folder / "samples.csv", table.getvalue().encode())

    def rank(item: tuple) -> float:
        error = item[0].mean_error
        return np.inf if error is None else error

    tiles = [tile for _, tile in sorted(scored, key=rank) if tile is not None]
    if tiles:
        write_atomically(folder / "overlays.png", png_bytes(contact_sheet(np.stack(tiles))))


def _print(summary: dict) -> None:
    from i2uv_jax.evaluate.photos import NEAR_SHARE

    print(f"model {summary['model']}: {summary['pictures']} pictures", end="")
    print(f", {len(summary['failed'])} failed" if summary["failed"] else "")
    if summary["with_keypoints_2d"]:
        error = summary["error_over_box"]
        print(f"2D keypoints ({summary['with_keypoints_2d']} pictures):")
        print(f"  mean error over box  {'-' if error is None else f'{error:.3f}'}")
        print(f"  within 10 % of box   {100 * summary[NEAR_SHARE]:.1f} %")
        print(f"  area under PCK curve {summary['auc_of_pck']:.3f}")
    if summary["with_keypoints_3d"]:
        print(f"3D keypoints ({summary['with_keypoints_3d']} pictures):")
        print(f"  aligned error        {summary['aligned_keypoint_mm']:.1f} mm")
