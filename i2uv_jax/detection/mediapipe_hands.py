"""MediaPipe's hand landmarker, as one more model or as a detector, in an environment of its own."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

MEDIAPIPE = "0.10.14"
"""The wheels up to 0.10.21 carry the models of the landmarker; later ones download them."""

_PYTHON = "3.11"


class MediaPipeError(ValueError):
    """MediaPipe did not start or stopped; one line."""


@dataclass(frozen=True)
class FoundHand:
    """One hand of one picture."""

    handedness: Literal["left", "right"]
    score: float
    """Of the side's being right, as MediaPipe says."""
    keypoints_2d: Float[np.ndarray, "21 2"]
    """Pixels of the picture."""
    keypoints_3d_mm: Float[np.ndarray, "21 3"]
    """About the hand's middle."""


class MediaPipeHands:
    """Context manager that answers pictures; starts an interpreter and ends it.

    Raises:
      MediaPipeError: it cannot be started, or stopped while it was asked.
    """

    def __init__(self, python: Path | None = None) -> None:
        """
        Args:
          python: an interpreter that has MediaPipe; None has uv make one, which fetches it once.
        """
        self._command = [
            *_interpreter(python),
            str(Path(__file__).with_name("mediapipe_worker.py")),
        ]
        self.seconds: list[float] = []
        """What each picture took, in order."""
        self.version = ""
        self._lock = threading.Lock()
        self._failure: MediaPipeError | None = None

    def __enter__(self) -> "MediaPipeHands":
        self._failure = None
        # A file, since a pipe that nobody reads would stop it when full.
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as error:
            self._log.close()
            message = f"{self._command[0]}: cannot be started ({error.strerror})"
            raise MediaPipeError(message) from error
        self.version = self._answer()["version"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def __call__(
        self,
        photo: UInt8[np.ndarray, "h w 3"],
        box_xyxy: tuple[float, float, float, float] | None,
    ) -> FoundHand | None:
        """The hand of a picture, or None.

        It sees the whole picture. Of several hands the surest counts among those whose keypoints'
        middle lies in the box, if there is one: other hands are not the one that is asked for.
        """
        hands = [hand for hand in self.all_hands(photo) if _is_in(hand, box_xyxy)]
        return max(hands, key=lambda hand: hand.score, default=None)

    def all_hands(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[FoundHand]:
        """All hands of a picture; one picture at a time, whatever the number of threads.

        Once it has stopped every call says why.
        """
        with self._lock:
            if self._failure is not None:
                raise MediaPipeError(*self._failure.args)
            try:
                answer = self._ask(photo)
            except MediaPipeError as error:
                self._failure = error
                raise
        return [
            FoundHand(
                hand["hand"],
                hand["score"],
                np.array(hand["keypoints_2d"]),
                np.array(hand["keypoints_3d"]),
            )
            for hand in answer["hands"]
        ]

    def _ask(self, photo: UInt8[np.ndarray, "h w 3"]) -> dict:
        height, width, _ = photo.shape
        try:
            self._process.stdin.write(f"{height} {width}\n".encode() + photo.tobytes())
            self._process.stdin.flush()
        except OSError as error:
            raise MediaPipeError(f"MediaPipe stopped: {self._last_words()}") from error
        answer = self._answer()
        self.seconds.append(answer["seconds"])
        return answer

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise MediaPipeError(f"MediaPipe did not start or stopped: {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        self._process.kill()
        self._process.communicate()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self._log.close()
        return lines[-1] if lines else "without a word"


def _is_in(hand: FoundHand, box_xyxy: tuple[float, float, float, float] | None) -> bool:
    if box_xyxy is None:
        return True
    middle = np.mean(hand.keypoints_2d, axis=0)
    return bool((middle >= box_xyxy[:2]).all() and (middle <= box_xyxy[2:]).all())


def _interpreter(python: Path | None) -> list[str]:
    if python is not None:
        return [str(python)]
    uv = shutil.which("uv")
    own = [uv] if uv else [sys.executable, "-m", "uv"]
    return [*own, "run", "--quiet", "--no-project", "--isolated", "--python", _PYTHON,
            "--with", f"mediapipe=={MEDIAPIPE}", "python"]  # fmt: skip
