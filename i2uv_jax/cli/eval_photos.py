"""`i2uv eval photos`: how good a model is on a folder of annotated pictures."""

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.detector_option import (
    NONE,
    PALM,
    TELLS_NOTHING,
    add_detector_option,
    open_detector,
)
from i2uv_jax.cli.eval_files import OVERLAYS, WORST, written_results
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.idle_options import refuse_idle
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.photo_scoring import NOT_FOUND, score_answers, score_file

if TYPE_CHECKING:
    from i2uv_jax.cli.photo_scoring import Scored
    from i2uv_jax.imaging.annotations import Annotation

_NUM_WORST = 16
_BATCH_SIZE = 16
_MEDIAPIPE = "mediapipe"

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
    add_detector_option(photos, PALM, of_none=TELLS_NOTHING)
    photos.add_argument(
        "--find",
        action="store_true",
        help="do not tell the annotated boxes: the detector finds the hands in the whole pictures "
        "(looks for their sides and keypoints in the boxes)",
    )
    photos.add_argument(
        "--beside",
        default=[],
        nargs="+",
        type=Path,
        metavar="DIR",
        help="output folders of earlier evaluations of the same pictures, for the report to show "
        "their scores and curves beside the new ones",
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
        help="names of pictures that show left hands, where annotations do not say it: '*_l.jpg' "
        "(without it: what the detector says, or right)",
    )
    photos.add_argument("--batch", type=positive_int, metavar="N", help="pictures at a time (16)")
    photos.set_defaults(run=run_photos, detector=None)


def run_photos(args: argparse.Namespace) -> int:
    """Scores, writes and prints; returns the process's exit code."""
    if args.pred is not None or args.model == _MEDIAPIPE:
        why = f"without a model of ours ({'--pred' if args.pred else '--model mediapipe'})"
        refuse_idle(args, why, "batch", "detector", "find")
    if args.pred is not None or args.model != _MEDIAPIPE:
        refuse_idle(args, f"without --model {_MEDIAPIPE}", "mediapipe-python")
    args.batch, args.detector = args.batch or _BATCH_SIZE, args.detector or PALM
    if args.find and args.detector == NONE:
        raise CommandError("--find: --detector none finds no hands")
    from i2uv_jax.imaging.annotations import ANNOTATIONS
    from i2uv_jax.models.model_files import file_fingerprint

    annotations = _read(args.folder / ANNOTATIONS)
    if not annotations:
        raise CommandError(f"{args.folder / ANNOTATIONS}: names no picture")
    predictions = None if args.pred is None else _read(args.pred)
    fingerprint = file_fingerprint(args.folder / ANNOTATIONS)
    others = [_earlier(folder, fingerprint) for folder in args.beside]
    with InterruptWatch() as watch:
        from i2uv_jax.evaluate.photo_page import photo_page
        from i2uv_jax.evaluate.photos import summarize
        from i2uv_jax.inference.cache import keep_compiled_programs

        keep_compiled_programs()
        name, scored, milliseconds = _scored(args, annotations, predictions, watch)
        summary = {
            "model": name,
            "model_file": _model_file(args),
            "annotations_file": fingerprint,
            "milliseconds_per_picture": milliseconds,
            **summarize([score for score, _ in scored]),
        }
        files = {
            "samples.csv": _rows(scored),
            "report.html": photo_page(summary, scored, _named_apart(name, args.beside, others)),
            **_overlays(scored),
        }
        written = written_results(args.out, summary, files)
    _print(summary)
    print(f"{', '.join(written)}: written to {args.out}")
    # A hand that was not found is a result, a picture that cannot be read a failure.
    found_all = set(summary["failures"]) <= {NOT_FOUND}
    return 0 if predictions is not None or found_all else EXIT_FAILED


def _scored(
    args: argparse.Namespace,
    annotations: "list[Annotation]",
    predictions: "list[Annotation] | None",
    watch: InterruptWatch,
) -> "tuple[str, list[Scored], float | None]":
    """Name of what predicted, the scores, and the milliseconds a picture took where measured."""
    from i2uv_jax.detection.mediapipe_hands import MediaPipeError, MediaPipeHands
    from i2uv_jax.evaluate.photo_answers import found_boxes, given_boxes, mediapipe
    from i2uv_jax.inference.predictor import load_model

    if predictions is not None:
        make_output_folder(args.out)
        return args.pred.name, score_file(args, annotations, predictions), None
    with contextlib.ExitStack() as stack:
        try:
            if args.model == _MEDIAPIPE:
                hands = stack.enter_context(MediaPipeHands(args.mediapipe_python))
                name, answer = f"MediaPipe Hands {hands.version}", mediapipe(hands)
            else:
                predictor = load_model(args.model, batch_size=min(args.batch, len(annotations)))
                detector = stack.enter_context(open_detector(args.detector))
                answer = (found_boxes if args.find else given_boxes)(predictor, detector)
                name = predictor.name
                if detector is not None:
                    name += f", {'found' if args.find else 'told'} by {args.detector}"
        except ValueError as error:
            raise CommandError(error) from error
        make_output_folder(args.out)
        try:
            scored, seconds = score_answers(args, annotations, answer, watch)
        except MediaPipeError as error:
            raise CommandError(error, EXIT_FAILED) from error
    return name, scored, _median_ms(seconds)


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


def _earlier(folder: Path, annotations_file: str) -> dict:
    """What an evaluation of the same pictures wrote."""
    path = folder / "metrics.json"
    try:
        found = json.loads(path.read_bytes())
        own = found["annotations_file"]
    except FileNotFoundError:
        raise CommandError(f"--beside {path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"--beside {path}: not of this version's `eval photos`") from error
    if own != annotations_file:
        raise CommandError(f"--beside {path}: is of other pictures or annotations")
    return found


def _named_apart(name: str, folders: list[Path], others: list[dict]) -> dict[str, dict]:
    """Others' results by their models; by their folders, too, where those do not differ."""
    named: dict[str, dict] = {}
    for folder, other in zip(folders, others, strict=True):
        title = other["model"]
        named[f"{title} ({folder})" if title == name or title in named else title] = other
    return named


def _rows(scored: "list[Scored]") -> list[list[str]]:
    rows = [["file", "hand", "error_over_box", "aligned_keypoint_mm", "visible_share", "pose",
             "failure", "ground_truth_problem"]]  # fmt: skip
    for score, _ in scored:
        error, aligned, share = score.mean_error, score.aligned_mm, score.visible_share
        rows.append(
            [
                score.file,
                score.hand or "",
                "" if error is None else f"{error:.4f}",
                "" if aligned is None else f"{aligned:.3f}",
                "" if share is None else f"{share:.3f}",
                score.pose or "",
                score.failure or "",
                score.truth_problem or "",
            ]
        )
    return rows


def _overlays(scored: "list[Scored]") -> dict[str, bytes]:
    """The sheets of pictures, as far as there is anything to show."""
    import numpy as np

    from i2uv_jax.evaluate.photo_page import rank
    from i2uv_jax.viewing.contact_sheet import contact_sheet
    from i2uv_jax.viewing.png import png_bytes

    ordered = sorted(scored, key=lambda pair: rank(pair[0]))
    shown = [(score, tile) for score, tile in ordered if tile is not None]
    ranked = [tile for score, tile in shown if np.isfinite(rank(score))]
    sheets = {
        OVERLAYS: [tile for _, tile in shown],
        WORST: ranked[: -_NUM_WORST - 1 : -1],
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
    for title, found in (
        ("predictions", summary["failures"]),
        ("ground_truth", summary["ground_truth_problems"]),
    ):
        for reason, files in found.items():
            print(f"  {title}: {reason}: {len(files)} ({files[0]}{', ...' * (len(files) > 1)})")
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
