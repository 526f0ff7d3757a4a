"""`i2uv eval photos`: how good a model is on a folder of annotated pictures."""

import argparse
import contextlib
import fnmatch
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.eval_files import written_results
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.detection.mediapipe_hands import MediaPipeHands
    from i2uv_jax.evaluate.photos import PhotoScore
    from i2uv_jax.imaging.annotations import Annotation
    from i2uv_jax.imaging.crop import SquareCrop
    from i2uv_jax.inference.predictor import Predictor

    Scored = tuple[PhotoScore, np.ndarray | None]
    """A picture's score, and the picture with the hand over it if there is one."""

_TILE_PX = 192
_NUM_WORST = 16
_MEDIAPIPE = "mediapipe"
_NOT_FOUND = "no hand found"

_DESCRIPTION = """Score a model on a folder of pictures with annotations.json (the format is
described in i2uv_jax/imaging/annotations.py), or, with --pred, any other tool's keypoints in a file
of the same format. Writes metrics.json, samples.csv, report.html and overlays.png: the pictures
with the predicted hand over them, the best first, those without keypoints last; and worst.png: the
worst of them, the very worst first."""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Adds the verb to `i2uv eval`."""
    photos = verbs.add_parser(
        "photos", help="a folder of annotated pictures", description=_DESCRIPTION
    )
    photos.add_argument("folder", type=Path, metavar="DIR", help="pictures and annotations.json")
    photos.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    predicted_by = photos.add_mutually_exclusive_group()
    predicted_by.add_argument(
        "--model",
        default="small",
        metavar="NAME|PATH",
        help=f"a shipped model or a file (small); {_MEDIAPIPE} runs MediaPipe Hands, which uv "
        "installs in an environment of its own",
    )
    predicted_by.add_argument(
        "--pred",
        type=Path,
        metavar="FILE",
        help="predicted keypoints; a picture that is not in it counts as a hand not found",
    )
    photos.add_argument(
        "--mediapipe-python",
        type=Path,
        metavar="FILE",
        help="a Python that has MediaPipe already",
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
        from i2uv_jax.evaluate.photo_page import photo_page
        from i2uv_jax.evaluate.photos import summarize

        name, scored, milliseconds = _scored(args, annotations, predictions, watch)
        summary = {
            "model": name,
            "model_file": _model_file(args),
            "milliseconds_per_picture": milliseconds,
            **summarize([score for score, _ in scored]),
        }
        files = {
            "samples.csv": _rows(scored),
            "report.html": photo_page(summary, scored),
            **_overlays(scored),
        }
        written = written_results(args.out, summary, files)
    _print(summary)
    print(f"{', '.join(written)}: written to {args.out}")
    # A hand that was not found is a result, a picture that cannot be read a failure.
    found_all = set(summary["failures"]) <= {_NOT_FOUND}
    return 0 if predictions is not None or found_all else EXIT_FAILED


def _scored(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    predictions: "list[Annotation] | None",
    watch: InterruptWatch,
) -> "tuple[str, list[Scored], float | None]":
    """Name of what predicted, the scores, and the milliseconds a picture took where measured."""
    from i2uv_jax.cli.hand_files import make_output_folder
    from i2uv_jax.inference.predictor import load_model

    if predictions is not None:
        make_output_folder(args.out)
        return args.pred.name, _score_file(args, annotations, predictions), None
    try:
        if args.model == _MEDIAPIPE:
            from i2uv_jax.detection.mediapipe_hands import MediaPipeHands

            with MediaPipeHands(args.mediapipe_python) as detector:
                make_output_folder(args.out)
                scored = _score_mediapipe(args, annotations, detector, watch)
                return f"MediaPipe Hands {detector.version}", scored, _median_ms(detector.seconds)
        predictor = load_model(args.model, batch_size=min(args.batch, len(annotations)))
    except ValueError as error:
        raise CommandError(error) from error
    make_output_folder(args.out)
    scored, seconds = _score_model(args, annotations, predictor, watch)
    return predictor.name, scored, _median_ms(seconds)


def _model_file(args: argparse.Namespace) -> str | None:
    """The fingerprint of the file that predicted, if one of this package's did."""
    from i2uv_jax.models.model_files import file_fingerprint, find_model

    if args.pred is not None or args.model == _MEDIAPIPE:
        return None
    return file_fingerprint(find_model(args.model))


def _median_ms(seconds: list[float]) -> float | None:
    """Without the first, which warms up, where there are others."""
    import statistics

    own = seconds[1:] or seconds
    return round(1000 * statistics.median(own), 2) if own else None


def _read(path: Path) -> "list[Annotation]":
    from i2uv_jax.imaging.annotations import read_annotations

    try:
        return read_annotations(path)
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file") from None
    except ValueError as error:
        raise CommandError(error) from error


def _readable(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    watch: InterruptWatch,
    failed: "Callable[[Scored], None]",
) -> "Iterator[tuple[Annotation, str, np.ndarray, SquareCrop]]":
    """The pictures that can be read, with their hand and crop; of the others the score goes to
    `failed` and a line to the terminal."""
    from tqdm import tqdm

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
        yield annotation, hand, photo, crop


def _score_model(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    predictor: "Predictor",
    watch: InterruptWatch,
) -> "tuple[list[Scored], list[float]]":
    """Scores, and the seconds a picture took in each batch."""
    from i2uv_jax.evaluate.photos import score_photo
    from i2uv_jax.viewing.overlay import overlay_mesh

    scored = []
    seconds = []
    for usable in _batches(_readable(args, annotations, watch, scored.append), args.batch):
        start = time.perf_counter()
        predictions = predictor(
            [photo for *_, photo, _ in usable],
            handedness=[hand for _, hand, *_ in usable],
            box_xyxy=[annotation.box_xyxy for annotation, *_ in usable],
        )
        seconds.append((time.perf_counter() - start) / len(usable))
        for (annotation, hand, photo, crop), found in zip(usable, predictions, strict=True):
            tile = overlay_mesh(
                _tile(photo, crop),
                _TILE_PX * crop.to_crop(found.vertices_2d),
                found.vertices_mm,
                found.faces,
                opacity=0.5,
            )
            score = score_photo(annotation, hand, found.keypoints_2d, found.keypoints_3d_mm)
            scored.append((score, _with_skeleton(tile, crop, found.keypoints_2d)))
    return scored, seconds


def _batches(items: Iterator, size: int) -> Iterator[list]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def _score_mediapipe(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    detector: "MediaPipeHands",
    watch: InterruptWatch,
) -> "list[Scored]":
    from i2uv_jax.evaluate.photos import failed_photo, score_photo

    scored = []
    for annotation, hand, photo, crop in _readable(args, annotations, watch, scored.append):
        found = detector(photo, annotation.box_xyxy)
        tile = _tile(photo, crop)
        if found is None:
            scored.append((failed_photo(annotation, hand, _NOT_FOUND), tile))
            continue
        score = score_photo(annotation, hand, found.keypoints_2d, found.keypoints_3d_mm)
        scored.append((score, _with_skeleton(tile, crop, found.keypoints_2d)))
    return scored


def _score_file(
    args: argparse.Namespace, annotations: "list[Annotation]", predictions: "list[Annotation]"
) -> "list[Scored]":
    """The same for keypoints from a file; pictures that cannot be read are only not shown."""
    from i2uv_jax.evaluate.photos import failed_photo, score_photo
    from i2uv_jax.imaging.crop import BoxError
    from i2uv_jax.imaging.read import ImageError, read_photo

    by_file = {prediction.file: prediction for prediction in predictions}
    unknown = sorted(set(by_file) - {annotation.file for annotation in annotations})
    if unknown:
        raise CommandError(f"{args.pred}: {unknown[0]} is none of the annotated pictures")
    scored = []
    for annotation in annotations:
        hand, found = _hand(annotation, args.left), by_file.get(annotation.file)
        if found is None or (found.keypoints_2d is None and found.keypoints_3d_mm is None):
            scored.append((failed_photo(annotation, hand, _NOT_FOUND), None))
            continue
        points = None if found.keypoints_2d is None else found.keypoints_2d[:, :2]
        tile = None
        if points is not None:
            with contextlib.suppress(ImageError, BoxError):
                photo = read_photo(args.folder / annotation.file)
                crop = _crop(annotation, photo)
                tile = _with_skeleton(_tile(photo, crop), crop, points)
        scored.append((score_photo(annotation, hand, points, found.keypoints_3d_mm), tile))
    return scored


def _tile(photo: "np.ndarray", crop: "SquareCrop") -> "np.ndarray":
    from i2uv_jax.imaging.crop import extract

    return extract(photo, crop, _TILE_PX)


def _with_skeleton(tile: "np.ndarray", crop: "SquareCrop", points: "np.ndarray") -> "np.ndarray":
    from i2uv_jax.viewing.overlay import overlay_skeleton

    return overlay_skeleton(tile, _TILE_PX * crop.to_crop(points))


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


def _rows(scored: "list[Scored]") -> list[list[str]]:
    rows = [["file", "hand", "error_over_box", "aligned_keypoint_mm", "failure"]]
    for score, _ in scored:
        error, aligned = score.mean_error, score.aligned_mm
        rows.append(
            [
                score.file,
                score.hand,
                "" if error is None else f"{error:.4f}",
                "" if aligned is None else f"{aligned:.3f}",
                score.failure or "",
            ]
        )
    return rows


def _overlays(scored: "list[Scored]") -> dict[str, bytes]:
    """overlays.png and worst.png, if there is anything to show."""
    import numpy as np

    from i2uv_jax.evaluate.photo_page import rank
    from i2uv_jax.viewing.contact_sheet import contact_sheet
    from i2uv_jax.viewing.panel import png_bytes

    ordered = sorted(scored, key=lambda pair: rank(pair[0]))
    shown = [(score, tile) for score, tile in ordered if tile is not None]
    ranked = [tile for score, tile in shown if np.isfinite(rank(score))]
    sheets = {
        "overlays.png": [tile for _, tile in shown],
        "worst.png": ranked[: -_NUM_WORST - 1 : -1],
    }
    return {
        name: png_bytes(contact_sheet(np.stack(tiles))) for name, tiles in sheets.items() if tiles
    }


def _print(summary: dict) -> None:
    from i2uv_jax.evaluate.photos import NEAR_SHARE

    def text(value: float | None, decimals: int) -> str:
        return "-" if value is None else f"{value:.{decimals}f}"

    print(f"model {summary['model']}: {summary['pictures']} pictures", end="")
    print(f", {len(summary['failed'])} failed" if summary["failed"] else "", end="")
    milliseconds = summary["milliseconds_per_picture"]
    print("" if milliseconds is None else f", {milliseconds:.1f} ms a picture")
    if summary["with_keypoints_2d"]:
        print(f"2D keypoints ({summary['with_keypoints_2d']} pictures):")
        print(f"  mean error over box  {text(summary['error_over_box'], 3)}")
        print(f"  within 10 % of box   {100 * summary[NEAR_SHARE]:.1f} %")
        print(f"  area under PCK curve {summary['auc_of_pck']:.3f}")
    if summary["with_keypoints_3d"]:
        print(f"3D keypoints ({summary['with_keypoints_3d']} pictures):")
        print(f"  aligned error        {text(summary['aligned_keypoint_mm'], 1)} mm", end="")
        print(f" (over all: {text(summary['aligned_keypoint_mm_over_all'], 1)} mm)")
        print(f"  area under PCK curve {summary['auc_of_aligned_pck']:.3f}")
