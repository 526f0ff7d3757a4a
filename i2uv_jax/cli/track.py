"""`i2uv track`: videos in; the hands of every frame, and a video with the meshes over it, out."""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2uv_jax.cli.detector_option import (
    PALM,
    add_detector_option,
    add_max_hands_option,
    add_small_hands_option,
    open_detector,
)
from i2uv_jax.cli.device_failure import device_mishaps
from i2uv_jax.cli.earlier_results import head_of_tracks, is_own_mesh
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.interruption import InterruptWatch
from i2uv_jax.cli.model_options import add_model_options, open_predictor
from i2uv_jax.cli.output_folder import make_output_folder

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from i2uv_jax.imaging.video import Frame, Video
    from i2uv_jax.inference.detected_hand import DetectedHand, PhotoDetector
    from i2uv_jax.inference.prediction import HandPrediction
    from i2uv_jax.inference.predictor import Predictor
    from i2uv_jax.inference.tracking import TrackedHand
    from i2uv_jax.viewing.track_motions import MovingHand

    _Hands = list[tuple[TrackedHand, HandPrediction]]

_DESCRIPTION = """Find and reconstruct the hands in every frame of videos (needs the extra `video`).
For VIDEO.mp4 the output folder gets VIDEO.jsonl: a line about the video, then one for each frame
with its hands, which keep their number ("track") from frame to frame, and a last line that says if
the video was done to its end; VIDEO.mp4, the meshes over the frames; with --meshes the folder VIDEO
with a .glb for each frame; and with --rigged VIDEO.glb, in which the hands move. Hands are smoothed
over time, the less the faster they move. A video that cannot be used costs one line; the others are
still done."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb to a command line."""
    parser = subparsers.add_parser(
        "track", help="find and reconstruct the hands in videos", description=_DESCRIPTION
    )
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="video files")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--hand", choices=("left", "right"), help="which all hands are (as detected)"
    )
    add_detector_option(parser, PALM, of_none="which takes every frame as one hand")
    add_max_hands_option(parser, f"each frame ({PALM} keeps to those that it follows)")
    add_small_hands_option(parser)
    add_model_options(parser, "frames")
    parser.add_argument(
        "--overlay",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write the video with the meshes over it, or do not",
    )
    parser.add_argument("--meshes", action="store_true", help="write a .glb for each frame")
    parser.add_argument(
        "--rigged",
        action="store_true",
        help="write all hands as one animation of skeletons of 20 joints, and the joints' "
        "rotations into the JSON lines",
    )
    parser.add_argument(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="smooth hands over time, or give each frame's as it is",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tracks as the arguments say; returns the process's exit code."""
    _check_names(args.videos, args.out)
    with InterruptWatch() as watch:
        from i2uv_jax.imaging.video import VideoError, open_video
        from i2uv_jax.inference.cache import keep_compiled_programs

        keep_compiled_programs()
        predictor = open_predictor(args, batch_size=args.batch)
        num_failed = 0
        # Keypoints are smoothed over time, so that a second look at each frame's gains little.
        with open_detector(
            args.detector,
            second_look=False,
            in_parts=args.small_hands,
            backend=args.backend,
        ) as detector:
            make_output_folder(args.out)
            for path in args.videos:
                try:
                    with open_video(path) as video:
                        _Run(args, video, predictor, detector, watch).run()
                except VideoError as error:
                    print(f"i2uv track: error: {error}", file=sys.stderr)
                    num_failed += 1
    return EXIT_FAILED if num_failed else 0


def _check_names(videos: list[Path], out: Path) -> None:
    """Refuses what would overwrite an input, or one result with another."""
    by_stem: dict[str, Path] = {}
    for video in videos:
        other = by_stem.setdefault(video.stem.lower(), video)
        if other is not video:
            raise CommandError(f"{video}: its results would have the names of those of {other}")
        if video.resolve() == (out / f"{video.stem}.mp4").resolve():
            raise CommandError(f"{video}: would be replaced by its result, choose another --out")


_MESH_PATTERN = "[0-9]" * 6 + ".glb"


@dataclass(frozen=True)
class _Seen:
    """A frame and the hands that were found in it."""

    frame: "Frame"
    found: "list[DetectedHand]"


@dataclass(frozen=True)
class _Drawn:
    """What is written for a frame."""

    line: str
    overlay: "UInt8[np.ndarray, 'h w 3'] | None"
    moving: "list[MovingHand]"
    """With --rigged."""


class _Run:
    """One video on its way through the pipeline."""

    def __init__(
        self,
        args: argparse.Namespace,
        video: "Video",
        predictor: "Predictor",
        detector: "PhotoDetector | None",
        watch: InterruptWatch,
    ) -> None:
        from i2uv_jax.inference.detected_hand import FollowingDetector
        from i2uv_jax.inference.following import HandFollower
        from i2uv_jax.inference.tracking import HandSmoother, HandTracker
        from i2uv_jax.viewing.track_motions import TrackMotions

        self._args = args
        self._video = video
        self._predictor = predictor
        self._detector = detector
        self._follower = None
        if isinstance(detector, FollowingDetector):
            self._follower = HandFollower(detector, max_hands=args.max_hands)
        self._watch = watch
        self._tracker = HandTracker()
        self._smoother = HandSmoother() if args.smooth else None
        self._mesh_folder = args.out / video.path.stem if args.meshes else None
        self._motions = TrackMotions() if args.rigged else None
        self._overlay_path = args.out / f"{video.path.stem}.mp4"
        self._motions_path = args.out / f"{video.path.stem}.glb"
        self._has_motions = False
        self._meshes: set[str] = set()
        """Names of those that were written."""

    def run(self) -> None:
        """Does the video.

        Raises:
          KeyboardInterrupt: it was interrupted; what was done until then is kept.
          VideoError: the video is damaged; likewise. Or the one with the meshes cannot be written;
            then nothing is kept, and meshes of an earlier run that it had replaced are gone.
          CommandError: results cannot be written.
        """
        from tqdm import tqdm

        from i2uv_jax.atomic_file import written_atomically
        from i2uv_jax.cli.photo_hand import names_of_points
        from i2uv_jax.imaging.video import VideoError, VideoWriteError, open_video_writer
        from i2uv_jax.inference.stream import stream

        path, out = self._video.path, self._args.out
        lines_path = out / f"{path.stem}.jsonl"
        earlier = head_of_tracks(lines_path)
        for result in self._others_files(lines_path, earlier):
            raise VideoError(f"{path}: would replace {result}, choose another --out")
        rate = self._video.frames_per_second
        start, num_done, end, cause = time.monotonic(), 0, "complete", None
        frames = stream(
            self._video.frames(),
            load=self._look,
            infer=self._infer,
            finish=self._draw,
            expected=(),
            batch_size=self._args.batch,
            in_order=self._follower is not None,
        )
        bar = tqdm(total=self._video.num_frames, unit="frame", disable=not sys.stderr.isatty())
        try:
            with ExitStack() as stack:
                if self._mesh_folder is not None:
                    stack.enter_context(self._mesh_files(self._mesh_folder))
                place = stack.enter_context(written_atomically(lines_path))
                lines = stack.enter_context(open(place, "x", encoding="utf-8"))
                writer = None
                if self._args.overlay:
                    writer = stack.enter_context(open_video_writer(self._overlay_path, rate))
                head = {
                    "video": str(path),
                    "model": self._predictor.name,
                    "frames_per_second": rate,
                    "overlay": writer is not None,
                    **names_of_points(is_rigged=self._args.rigged),
                }
                print(json.dumps(head), file=lines)
                try:
                    with bar, closing(frames):
                        for outcome in frames:
                            self._watch.check()
                            print(outcome.result.line, file=lines)
                            if writer is not None:
                                writer.write(outcome.result.overlay, outcome.item.seconds)
                            if self._motions is not None:
                                seconds = outcome.item.seconds
                                self._motions.add_frame(seconds, outcome.result.moving)
                            num_done += 1
                            bar.update(1)
                except KeyboardInterrupt as interruption:
                    end, cause = "interrupted", interruption
                except VideoWriteError:
                    raise
                except VideoError as error:
                    end, cause = "damaged", error
                print(json.dumps({"frames": num_done, "end": end}), file=lines)
            if self._motions is not None:
                self._write_motions()
            self._remove_earlier(earlier)
        except OSError as error:
            reason = error.strerror or error
            raise CommandError(f"{path}: results cannot be written ({reason})") from error
        seconds = time.monotonic() - start
        print(f"{path}: {num_done} frames in {seconds:.1f} s, {end}, written to {out}", flush=True)
        if cause is not None:
            raise cause

    @contextmanager
    def _mesh_files(self, folder: Path) -> Iterator[None]:
        """Makes the folder of meshes; after an exception it holds none of this run's, and goes with
        them if that leaves it empty."""
        folder.mkdir(exist_ok=True)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                for name in self._meshes:
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()  # Refused where it is not empty.
            raise

    def _look(self, frame: "Frame") -> _Seen:
        from i2uv_jax.inference.detected_hand import DetectedHand

        with device_mishaps("the detector failed"):
            if self._follower is not None:
                return _Seen(frame, self._follower(frame.seconds, frame.pixels))
            if self._detector is not None:
                return _Seen(frame, self._detector(frame.pixels)[: self._args.max_hands])
        height, width, _ = frame.pixels.shape
        return _Seen(frame, [DetectedHand((0.0, 0.0, float(width), float(height)), None, 1.0)])

    def _infer(self, batch: list[_Seen]) -> "Callable[[], list[_Hands]]":
        # Batches come in the frames' order, which linking and smoothing need.
        tracked = [self._tracker.update(seen.frame.seconds, seen.found) for seen in batch]
        prepared = [
            self._predictor.prepare(seen.frame.pixels, **self._asked(hand))
            for seen, hands in zip(batch, tracked, strict=True)
            for hand in hands
        ]
        with device_mishaps(f"the model failed on {len(batch)} frames at once"):
            pending = self._predictor.start(prepared) if prepared else None

        def wait() -> "list[_Hands]":
            with device_mishaps(f"the model failed on {len(batch)} frames at once"):
                own = iter(() if pending is None else pending.result())
            return [
                [
                    (hand, self._smoothed(seen.frame.seconds, hand, prediction))
                    for hand, prediction in zip(
                        hands, itertools.islice(own, len(hands)), strict=True
                    )
                ]
                for seen, hands in zip(batch, tracked, strict=True)
            ]

        return wait

    def _asked(self, hand: "TrackedHand") -> dict[str, Any]:
        """Arguments with which the model is asked about a hand."""
        asked = hand.found.for_model(self._predictor, self._args.hand or hand.handedness)
        if self._detector is None:
            # The frame is the crop, as in `i2uv predict`; a box would get room around it.
            asked["box_xyxy"] = None
        return asked

    def _smoothed(
        self, seconds: float, hand: "TrackedHand", prediction: "HandPrediction"
    ) -> "HandPrediction":
        if self._smoother is None:
            return prediction
        return self._smoother(seconds, hand.track, prediction)

    def _draw(self, frame: "Frame", seen: _Seen, hands: "_Hands") -> _Drawn:
        from i2uv_jax.atomic_file import write_atomically
        from i2uv_jax.cli.hand_scenes import frame_scene, moving_hands
        from i2uv_jax.cli.photo_hand import PhotoHand, hand_numbers
        from i2uv_jax.viewing.frame_overlay import overlay_hands
        from i2uv_jax.viewing.glb import glb_bytes

        height, width, _ = frame.pixels.shape
        by_track = {
            hand.track: PhotoHand(prediction, hand.found.box_xyxy, hand.found.score)
            for hand, prediction in hands
        }
        moving: list[MovingHand] = []
        if by_track and (self._args.rigged or self._mesh_folder is not None):
            if self._args.rigged:
                by_track = {track: hand.rigged() for track, hand in by_track.items()}
            scene = frame_scene(by_track, self._predictor, width, height)
            if self._args.rigged:
                moving = moving_hands(list(by_track), scene)
            if self._mesh_folder is not None:
                mesh_path = self._mesh_folder / f"{frame.number:06d}.glb"
                write_atomically(mesh_path, glb_bytes(scene, self._predictor.atlas))
                self._meshes.add(mesh_path.name)
        numbers = [
            {"track": track, **hand_numbers(hand, width, height)}
            for track, hand in by_track.items()
        ]
        line = {"frame": frame.number, "seconds": round(frame.seconds, 6), "hands": numbers}
        overlay = None
        if self._args.overlay:
            overlay = overlay_hands(frame.pixels, [prediction for _, prediction in hands])
        return _Drawn(json.dumps(line), overlay, moving)

    def _write_motions(self) -> None:
        """Writes the animation, if any hand was seen."""
        from i2uv_jax.atomic_file import write_atomically
        from i2uv_jax.viewing.glb import glb_bytes

        scene = self._motions.scene()
        if scene:
            write_atomically(self._motions_path, glb_bytes(scene, self._predictor.atlas))
            self._has_motions = True

    def _others_files(self, lines_path: Path, head: dict | None) -> Iterator[Path]:
        """What this run would replace and no run wrote; `head` is an earlier one's, if any.

        A film does not tell who wrote it, but the lines beside it do.
        """
        if lines_path.exists() and head is None:
            yield lines_path
        if self._args.overlay and self._overlay_path.exists() and not _has_overlay(head):
            yield self._overlay_path
        meshes = [self._motions_path] if self._args.rigged else []
        if self._mesh_folder is not None:
            meshes += self._mesh_folder.glob(_MESH_PATTERN)
        yield from (mesh for mesh in meshes if mesh.exists() and not is_own_mesh(mesh))

    def _remove_earlier(self, head: dict | None) -> None:
        """Removes what an earlier run, of this head, wrote and this one did not."""
        if not self._args.overlay and _has_overlay(head):
            self._overlay_path.unlink(missing_ok=True)
        if head is None:
            return
        meshes = set((self._args.out / self._video.path.stem).glob(_MESH_PATTERN))
        meshes = {mesh for mesh in meshes if mesh.name not in self._meshes}
        if not self._has_motions:
            meshes.add(self._motions_path)
        for mesh in filter(is_own_mesh, meshes):
            mesh.unlink()


def _has_overlay(head: dict | None) -> bool:
    """Whether a run, of the head that its lines begin with, wrote a film."""
    return head is not None and head.get("overlay", False)
