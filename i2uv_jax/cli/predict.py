"""`i2uv predict`: photos in, meshes, panels and keypoints out."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import EXIT_FAILED, EXIT_INTERRUPTED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.photo_list import Photo, list_photos

if TYPE_CHECKING:
    import numpy as np

    from i2uv_jax.inference.predictor import Predictor

_DESCRIPTION = """Reconstruct the hand in each photo. For PHOTO.jpg the output folder gets PHOTO.glb
(the mesh), PHOTO.png (the picture, the mesh over it, the UV position map and two other views) and
PHOTO.json (keypoints). A photo that cannot be used costs one line; the others are still done."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "predict", help="reconstruct the hand in photos", description=_DESCRIPTION
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
        "--hand", choices=("left", "right"), default="right", help="which hand it is (right)"
    )
    parser.add_argument(
        "--box",
        nargs=4,
        type=float,
        metavar=("X0", "Y0", "X1", "Y1"),
        help="the hand's box in pixels of the photo (the whole picture)",
    )
    parser.add_argument(
        "--model", default="small", metavar="NAME|PATH", help="a shipped model or a file (small)"
    )
    parser.add_argument(
        "--batch", type=positive_int, default=8, metavar="N", help="photos at a time (8)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predicts as the arguments say; returns the process's exit code."""
    photos = list_photos(args.photos, args.out)

    with InterruptWatch() as watch:
        from i2uv_jax.cli.hand_files import make_output_folder
        from i2uv_jax.inference.predictor import load_model

        try:
            predictor = load_model(args.model, batch_size=min(args.batch, len(photos)))
        except ValueError as error:
            raise CommandError(error) from error
        make_output_folder(args.out)
        return _Run(args, photos, predictor, watch).run()


class _Run:
    """The photos of one command, worked through in batches."""

    def __init__(
        self,
        args: argparse.Namespace,
        photos: list[Photo],
        predictor: "Predictor",
        watch: InterruptWatch,
    ) -> None:
        self._args = args
        self._box = None if args.box is None else tuple(args.box)
        self._photos = photos
        self._predictor = predictor
        self._watch = watch
        self._num_done = 0
        self._num_failed = 0
        self._model_seconds = 0.0

    def run(self) -> int:
        """Does all photos; returns the exit code."""
        from tqdm import tqdm

        start = time.monotonic()
        on_terminal = sys.stderr.isatty()
        if on_terminal:
            print(f"compiling model {self._predictor.name} ...", file=sys.stderr)
        # A bar where somebody watches it; in logs one plain line a photo instead.
        self._bar = tqdm(
            total=len(self._photos),
            unit="photo",
            disable=not on_terminal or len(self._photos) == 1,
        )
        try:
            with self._bar:
                for first in range(0, len(self._photos), self._args.batch):
                    self._do_batch(self._photos[first : first + self._args.batch])
        except KeyboardInterrupt:
            print(
                f"i2uv predict: interrupted, {self._num_done} of {len(self._photos)} photos done",
                file=sys.stderr,
            )
            return EXIT_INTERRUPTED
        seconds = time.monotonic() - start
        line = f"{self._num_done} of {len(self._photos)} photos done in {seconds:.1f} s"
        if self._num_done:
            per_photo_ms = 1000 * self._model_seconds / self._num_done
            line += f" ({per_photo_ms:.0f} ms a photo in the model), written to {self._args.out}"
        print(line + (f"; {self._num_failed} failed" if self._num_failed else ""))
        return EXIT_FAILED if self._num_failed else 0

    def _do_batch(self, photos: list[Photo]) -> None:
        from i2uv_jax.imaging.read import ImageError, read_photo

        usable: list[tuple[Photo, np.ndarray]] = []
        for photo in photos:
            self._watch.check()
            try:
                pixels = read_photo(photo.path)
                self._check_box(photo, pixels)
                usable.append((photo, pixels))
            except ImageError as error:
                self._fail(error)
        if not usable:
            return
        try:
            self._predictor.compile(len(usable))
            start = time.monotonic()
            predictions = self._predictor(
                [pixels for _, pixels in usable], handedness=self._args.hand, box_xyxy=self._box
            )
            seconds = time.monotonic() - start
        except RuntimeError as error:  # XLA: out of memory, or a device that failed.
            reason = str(error).splitlines()[0]
            raise CommandError(
                f"the model failed on {len(usable)} photos at once ({reason}); "
                "a smaller --batch needs less memory",
                EXIT_FAILED,
            ) from error
        self._model_seconds += seconds
        for (photo, pixels), prediction in zip(usable, predictions, strict=True):
            self._write(photo, pixels, prediction, seconds / len(usable))

    def _check_box(self, photo: Photo, pixels: "np.ndarray") -> None:
        """One photo whose size the box does not fit must not stop the others of its batch."""
        from i2uv_jax.imaging.crop import BoxError, crop_from_box
        from i2uv_jax.imaging.read import ImageError

        if self._box is None:
            return
        height, width, _ = pixels.shape
        try:
            crop_from_box(self._box, width, height)
        except BoxError as error:
            raise ImageError(f"{photo.path}: {error}") from error

    def _write(self, photo: Photo, pixels: "np.ndarray", prediction, seconds: float) -> None:
        from i2uv_jax.cli.hand_files import write_hand_files

        self._watch.check()
        try:
            paths = write_hand_files(
                self._args.out,
                photo.stem,
                pixels,
                prediction,
                self._predictor,
                image_name=str(photo.path),
                box_xyxy=self._box,
                seconds=seconds,
            )
        except OSError as error:
            self._fail(f"{photo.path}: results cannot be written ({error.strerror or error})")
            return
        self._num_done += 1
        self._bar.update(1)
        if self._bar.disable:
            print(f"{photo.path}: {', '.join(path.name for path in paths)}", flush=True)

    def _fail(self, message: object) -> None:
        from tqdm import tqdm

        self._num_failed += 1
        tqdm.write(f"i2uv predict: error: {message}", file=sys.stderr)
        self._bar.update(1)
