"""`i2uv predict`: photos in, meshes, panels and keypoints out."""

import argparse
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.detector_option import (
    PALM,
    add_detector_option,
    add_max_hands_option,
    add_small_hands_option,
    open_detector,
)
from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.earlier_results import files_named_before, is_others_mesh
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch, exit_code_of
from i2uv_jax.cli.model_options import add_model_options, open_predictor
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.cli.photo_list import Photo, list_photos

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, UInt8

    from i2uv_jax.inference.detected_hand import PhotoDetector
    from i2uv_jax.inference.prediction import AskedHandedness, HandPrediction
    from i2uv_jax.inference.predictor import Predictor
    from i2uv_jax.inference.prepared_hand import PreparedHand
    from i2uv_jax.inference.stream import Outcome

    _Answer = tuple[list[HandPrediction], float]
    """A photo's hands, and the seconds they took."""

_DESCRIPTION = """Find and reconstruct the hands in each photo. For PHOTO.jpg the output folder gets
PHOTO.glb (the meshes) and PHOTO.json (boxes and keypoints); of several hands also PHOTO_1.glb,
PHOTO_2.glb, ... Photos that are named themselves also get a panel, PHOTO.png (the picture, the mesh
over it, the UV position map and two other views); those of a folder only with --panel. A photo
without a hand gets an empty list in its JSON. Results of an earlier run are replaced, nothing else:
where another file has the name, the photo's suffix joins it (PHOTO_jpg). A photo that cannot be
used, or a folder without pictures, costs one line; the others are still done."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "predict", help="find and reconstruct the hands in photos", description=_DESCRIPTION
    )
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO|DIR",
        help="picture files, or folders of them",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--hand",
        choices=("left", "right", "auto"),
        help="side of all hands, whatever is detected; auto lets the model decide for each, and "
        "drop what it takes for no hand (as detected, or right where the detector does not tell)",
    )
    parser.add_argument(
        "--box",
        nargs=4,
        type=float,
        metavar=("X0", "Y0", "X1", "Y1"),
        help="the one hand's box in pixels, of every photo that is named; only its side and "
        "keypoints are detected",
    )
    add_detector_option(parser, PALM)
    add_max_hands_option(parser, "each photo")
    add_small_hands_option(parser)
    add_model_options(parser, "photos")
    parser.add_argument(
        "--fine",
        action="store_true",
        help="super-resolve the UV map to 256 x 256 texels, with the skin's relief, and write "
        "meshes of 51,136 triangles instead of 3,196",
    )
    parser.add_argument(
        "--rigged",
        action="store_true",
        help="write meshes on skeletons of 20 joints, which can be posed anew, and the joints' "
        "rotations into the JSON",
    )
    parser.add_argument(
        "--panel",
        action=argparse.BooleanOptionalAction,
        help="draw each photo's panel, or none (those of photos that are named themselves)",
    )
    parser.add_argument(
        "--colour",
        choices=("plain", "error"),
        default="plain",
        help="of the meshes in panels: error shows how far from the truth the model expects what "
        "it shows, from green over yellow to red for 30 mm and more (plain)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predicts as the arguments say; returns the process's exit code."""
    photos = list_photos(args.photos, args.out)

    with InterruptWatch() as watch:
        from i2uv_jax.inference.cache import keep_compiled_programs

        keep_compiled_programs()
        batch_size = min(args.batch, len(photos))
        if sys.stderr.isatty():
            print(f"loading {args.model} (for a minute, the first time) ...", file=sys.stderr)
        predictor = open_predictor(args, batch_size, fine=args.fine)
        if args.hand == "auto" and not predictor.tells_presence:
            raise CommandError(f"--hand auto: model {args.model} does not tell which hand it sees")
        if args.colour == "error" and not predictor.tells_confidence:
            raise CommandError(f"--colour error: model {args.model} tells no errors to expect")
        if args.colour == "error" and not any(_has_panel(photo, args.panel) for photo in photos):
            raise CommandError("--colour error: colours panels, and none is drawn (--panel)")
        with open_detector(
            args.detector, in_parts=args.small_hands, backend=args.backend
        ) as detector:
            make_output_folder(args.out)
            return predict_photos(args, photos, predictor, detector, watch)


def predict_photos(
    args: argparse.Namespace,
    photos: list[Photo],
    predictor: "Predictor",
    detector: "PhotoDetector | None",
    watch: InterruptWatch,
) -> int:
    """Predicts as the arguments say with what has been loaded; returns the exit code."""
    return _Run(args, photos, predictor, detector, watch).run()


def _has_panel(photo: Photo, asked: bool | None) -> bool:
    # A panel costs several times what the rest does, and of a folder few are looked at.
    return photo.is_named if asked is None else asked


@dataclass(frozen=True)
class _Place:
    """Where a hand is in a photo, as far as it was found or given."""

    box_xyxy: tuple[float, float, float, float] | None
    handedness: "AskedHandedness"
    score: float | None
    keypoints: "Float[np.ndarray, '21 3'] | None" = None
    """Pixels of the photo."""


@dataclass(frozen=True)
class _Loaded:
    """A photo and the hands cut out of it."""

    size: tuple[int, int]
    """The photo's width and height."""
    panel_of: "UInt8[np.ndarray, 'h w 3'] | None"
    """The photo if it gets a panel: without one its pixels need not wait for the files."""
    places: list[_Place]
    hands: "list[PreparedHand]"
    """One for each place."""


class _Run:
    """The photos of one command on their way through the pipeline."""

    def __init__(
        self,
        args: argparse.Namespace,
        photos: list[Photo],
        predictor: "Predictor",
        detector: "PhotoDetector | None",
        watch: InterruptWatch,
    ) -> None:
        self._args = args
        self._detector = detector
        self._stems = {photo.stem.lower() for photo in photos if photo.problem is None}
        self._numbered_stems: set[str] = set()
        self._naming = threading.Lock()
        self._photos = photos
        self._predictor = predictor
        self._watch = watch
        self._num_done = 0
        self._num_failed = 0
        self._model_seconds = 0.0
        self._last_result = 0.0

    def run(self) -> int:
        """Does all photos; returns the exit code."""
        from tqdm import tqdm

        from i2uv_jax.imaging.read import ImageError
        from i2uv_jax.inference.stream import stream

        start = time.monotonic()
        # A bar where somebody watches it; in logs one plain line a photo instead.
        self._bar = tqdm(
            total=len(self._photos),
            unit="photo",
            disable=not sys.stderr.isatty() or len(self._photos) == 1,
        )
        outcomes = stream(
            self._photos,
            load=self._load,
            infer=self._infer,
            finish=self._write,
            expected=(ImageError, OSError),
            batch_size=self._args.batch,
        )
        try:
            with self._bar, closing(outcomes):
                for outcome in outcomes:
                    self._watch.check()
                    self._report(outcome)
        except KeyboardInterrupt as interruption:
            print(
                f"i2uv predict: interrupted, {self._num_done} of {len(self._photos)} photos done",
                file=sys.stderr,
            )
            return exit_code_of(interruption)
        seconds = time.monotonic() - start
        line = f"{self._num_done} of {len(self._photos)} photos done in {seconds:.1f} s"
        if self._num_done:
            per_photo_ms = 1000 * self._model_seconds / self._num_done
            line += f" ({per_photo_ms:.0f} ms a photo in the model), written to {self._args.out}"
        print(line + (f"; {self._num_failed} failed" if self._num_failed else ""))
        return EXIT_FAILED if self._num_failed else 0

    def _load(self, photo: Photo) -> _Loaded:
        from i2uv_jax.imaging.crop import BoxError
        from i2uv_jax.imaging.read import ImageError, read_photo

        if photo.problem is not None:
            raise ImageError(photo.problem)
        pixels = read_photo(photo.path)
        try:
            places = self._find(pixels)
            hands = [
                self._predictor.prepare(
                    pixels,
                    handedness=place.handedness,
                    box_xyxy=place.box_xyxy,
                    keypoints=place.keypoints,
                )
                for place in places
            ]
        except BoxError as error:
            raise ImageError(f"{photo.path}: {error}") from error
        height, width, _ = pixels.shape
        panel_of = pixels if _has_panel(photo, self._args.panel) else None
        return _Loaded((width, height), panel_of, places, hands)

    def _find(self, pixels: "UInt8[np.ndarray, 'h w 3']") -> list[_Place]:
        """The hands to reconstruct; what the user says holds against what is detected."""
        from i2uv_jax.inference.hand_in_box import find_in_box

        given = self._args.hand
        box = None if self._args.box is None else tuple(self._args.box)
        unseen = _Place(box, given or "right", None)
        if self._detector is None:
            return [unseen]
        with device_mishaps("the detector failed"):
            if box is None:
                found = self._detector(pixels)[: self._args.max_hands]
            else:
                inside = find_in_box(self._detector, pixels, box)
                found = [] if inside is None else [inside]
        if box is not None and not found:
            return [unseen]
        return [
            _Place(**hand.for_model(self._predictor, given), score=hand.score) for hand in found
        ]

    def _infer(self, batch: list[_Loaded]) -> "Callable[[], list[_Answer]]":
        hands = [hand for loaded in batch for hand in loaded.hands]
        if not hands:
            return lambda: [([], 0.0)] * len(batch)
        with device_mishaps(f"the model failed on {len(batch)} photos at once"):
            self._predictor.compile(len(hands))
            start = time.monotonic()
            pending = self._predictor.start(hands)

        def wait() -> "list[_Answer]":
            with device_mishaps(f"the model failed on {len(batch)} photos at once"):
                predictions = pending.result()
            now = time.monotonic()
            # Until the batch before was answered, this one had to queue.
            seconds = now - max(start, self._last_result)
            self._last_result = now
            self._model_seconds += seconds
            own = iter(predictions)
            return [
                (list(itertools.islice(own, len(loaded.hands))), seconds / len(batch))
                for loaded in batch
            ]

        return wait

    def _write(self, photo: Photo, loaded: _Loaded, answer: "_Answer") -> list[Path]:
        from i2uv_jax.cli.hand_files import write_hand_files
        from i2uv_jax.cli.photo_hand import PhotoHand
        from i2uv_jax.inference.prediction import MIN_PRESENCE

        predictions, seconds = answer
        hands = [
            PhotoHand(prediction, place.box_xyxy, place.score)
            for prediction, place in zip(predictions, loaded.places, strict=True)
            if place.handedness != "auto" or prediction.presence >= MIN_PRESENCE
        ]
        if self._args.rigged:
            hands = [hand.rigged() for hand in hands]
        return write_hand_files(
            self._args.out,
            photo.stem,
            loaded.size,
            hands,
            self._predictor,
            image_name=str(photo.path),
            seconds=seconds,
            panel_of=loaded.panel_of,
            numbered_stem=self._numbered_stem(photo.stem, len(hands)),
            other_stems=self._stems,
            show_errors=self._args.colour == "error",
        )

    def _numbered_stem(self, stem: str, count: int) -> str:
        """What the numbers of `count` hands follow: such names are no other photo's, and nobody
        else's."""
        if count < 2:
            return stem
        out, own = self._args.out, stem
        before = files_named_before(out, own)

        def is_photo(name: str) -> bool:
            return name.lower() in self._stems or (out / f"{name}.json").exists()

        def is_taken(stem: str) -> bool:
            names = [f"{stem}_{number}" for number in range(1, count + 1)]
            meshes = [out / f"{name}.glb" for name in names]
            return (
                stem.lower() in self._numbered_stems
                or (stem != own and is_photo(stem))
                or any(map(is_photo, names))
                # Those of another photo of an earlier run would be missed by its JSON.
                or any(os.path.lexists(mesh) and mesh not in before for mesh in meshes)
                or any(map(is_others_mesh, meshes))
            )

        # Photos are written by several threads at once.
        with self._naming:
            while is_taken(stem):
                stem += "_hand"
            self._numbered_stems.add(stem.lower())
        return stem

    @property
    def _way_out(self) -> str:
        if self._args.hand == "auto":
            return "--hand right or left keeps what the model takes for none"
        return "--detector none takes the whole picture as one"

    def _report(self, outcome: "Outcome[Photo]") -> None:
        from tqdm import tqdm

        photo, error = outcome.item, outcome.error
        if error is None:
            self._num_done += 1
            if self._bar.disable:
                names = ", ".join(path.name for path in outcome.result)
                print(f"{photo.path}: {names}", flush=True)
            if not any(path.suffix == ".glb" for path in outcome.result):
                tqdm.write(f"{photo.path}: no hand found ({self._way_out})")
        else:
            self._num_failed += 1
            if isinstance(error, OSError):
                reason = error.strerror or error
                error = f"{photo.path}: results cannot be written ({reason})"
            tqdm.write(f"i2uv predict: error: {error}", file=sys.stderr)
        self._bar.update(1)
