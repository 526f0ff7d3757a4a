"""Which detector finds the hands of photos: the option, and the detector it stands for."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.argument_types import positive_int
from i2uv_jax.cli.failure import EXIT_FAILED, CommandError

if TYPE_CHECKING:
    from i2uv_jax.inference.detected_hand import PhotoDetector

_NAMES = PALM, HEAT_MAP, _MEDIAPIPE, NONE = "palm", "heatmap", "mediapipe", "none"

TAKES_NONE = "with a model that takes no keypoints"
"""Why a detector has nothing to do where the hands' places are known."""

TELLS_NOTHING = "which tells the model no keypoints"
"""What happens without a detector where the hands' places are known."""


def add_detector_option(
    parser: argparse.ArgumentParser,
    default: str,
    *,
    of_none: str = "which takes the whole picture as one hand",
) -> None:
    """Adds `--detector`; `of_none` says what happens without one."""
    parser.add_argument(
        "--detector",
        default=default,
        metavar="NAME|PATH",
        help=f"what finds hands: {PALM} (MediaPipe's networks, which come along), {HEAT_MAP} "
        f"(our network, or PATH of another of its kind), {_MEDIAPIPE} (uv installs it in an "
        f"environment of its own), or {NONE}, {of_none} ({default})",
    )


def add_max_hands_option(parser: argparse.ArgumentParser, where: str) -> None:
    """Adds `--max-hands`; `where` says of what."""
    parser.add_argument(
        "--max-hands",
        type=positive_int,
        metavar="N",
        help=f"take the N likeliest hands of {where} at most (all that are found)",
    )


def add_small_hands_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--small-hands`."""
    parser.add_argument(
        "--small-hands",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f"have {PALM} look closer, part by part, where it finds no hand or small ones alone: "
        "it finds those of people who are seen whole, and takes longer (does)",
    )


def refuse_detector(name_or_path: str, why: str) -> None:
    """Raises CommandError if a detector is asked for that would have nothing to do."""
    if name_or_path != NONE:
        raise CommandError(f"--detector does nothing {why}")


@contextmanager
def open_detector(
    name_or_path: str,
    *,
    min_score: float | None = None,
    second_look: bool = True,
    in_parts: bool = True,
    backend: str = "xla",
) -> "Iterator[PhotoDetector | None]":
    """The detector, ready to be called; None where nothing is to be detected.

    Args:
      min_score: of the networks' hands; their defaults unless given.
      second_look, in_parts: see `load_detector`.
      backend: as `--backend` has it for the model; "onnx" leaves networks of detectors to XLA.

    Raises:
      CommandError: its file is missing or broken, or MediaPipe cannot be started or stops.
    """
    if name_or_path == NONE:
        yield None
        return
    from i2uv_jax.detection.mediapipe_hands import MediaPipeError, MediaPipeHands
    from i2uv_jax.inference.hand_detector import load_detector
    from i2uv_jax.inference.mediapipe_detector import MediaPipeDetector

    with ExitStack() as stack:
        try:
            if name_or_path == _MEDIAPIPE:
                detector = MediaPipeDetector(stack.enter_context(MediaPipeHands()))
            else:
                if name_or_path not in _NAMES and not Path(name_or_path).exists():
                    raise ValueError(
                        f"--detector {name_or_path}: no such file, and none of {', '.join(_NAMES)}"
                    )
                detector = load_detector(
                    name_or_path,
                    min_score=min_score,
                    second_look=second_look,
                    in_parts=in_parts,
                    backend="xla" if backend == "onnx" else backend,
                )
                detector.compile()
        except ValueError as error:
            raise CommandError(error) from error
        try:
            yield detector
        except MediaPipeError as error:
            raise CommandError(error, EXIT_FAILED) from error
