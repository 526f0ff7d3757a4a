"""Reading videos frame by frame, and writing them; with PyAV, which the extra `video` installs."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.atomic_file import written_atomically
from i2uv_jax.imaging.read import MAX_PIXELS, MIN_SIDE_PX

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")

_CLOCK = Fraction(1, 90_000)
"""Tick of written videos, in seconds: a multiple of all usual frame rates."""

_USUAL_RATE = Fraction(30)
"""Frames per second of files that do not tell."""

_BT709 = 1
"""BT.709 among FFmpeg's numbers of colour spaces (how YUV and RGB are converted into each other),
of primaries and of transfer curves alike."""

_BT601 = 5

_UNKNOWN_SPACE = 2

_LIMITED_RANGE = 1
"""Luma from 16 to 235."""


class VideoError(ValueError):
    """A video cannot be read or written; one line that names the file and the reason."""


class VideoWriteError(VideoError):
    """A video cannot be written; the file that is meant to be."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video."""

    number: int
    """Counted from 0."""
    seconds: float
    """From the start of the video."""
    pixels: UInt8[np.ndarray, "h w 3"]
    """sRGB, upright and of square pixels, as players show it."""


class Video:
    """An open video; `frames` reads it once, from its start."""

    def __init__(self, path: Path, container) -> None:
        self.path = path
        self._container = container
        self._stream = container.streams.video[0]
        # Frames are decoded by several threads, while others work on those before.
        self._stream.thread_type = "AUTO"
        self._pixel_aspect = float(self._stream.sample_aspect_ratio or 1)
        """Width of a stored pixel over its height; files that do not tell have square ones."""
        self.frames_per_second = float(self._stream.average_rate or _USUAL_RATE)
        self.num_frames = self._stream.frames or None
        """As the file tells; None where it does not."""
        self._check_size()

    def frames(self) -> Iterator[Frame]:
        """All frames in the order in which they are shown.

        Raises:
          VideoError: the rest of the file is damaged.
        """
        import av

        number, start, last = 0, 0.0, float("-inf")
        try:
            for frame in self._container.decode(self._stream):
                turns = round(frame.rotation / 90) % 4
                stored = frame.to_ndarray(
                    format="rgb24",
                    width=_square_width(frame.width, self._pixel_aspect),
                    src_colorspace=_colour_space(frame),
                    # Nothing to RGB, but PyAV 16 heeds the source's only where this one differs.
                    dst_colorspace=_BT601,
                )
                pixels = np.ascontiguousarray(np.rot90(stored, turns))
                seconds = number / self.frames_per_second if frame.time is None else frame.time
                if number == 0:
                    start = float(seconds)
                # Joined and damaged files repeat times.
                last = max(float(seconds) - start, last + float(_CLOCK))
                yield Frame(number, last, pixels)
                number += 1
        except av.FFmpegError as error:
            reason = error.strerror or error
            raise VideoError(f"{self.path}: damaged after {number} frames ({reason})") from error
        if number == 0:
            raise VideoError(f"{self.path}: holds no frame")

    def _check_size(self) -> None:
        """Refuses the sizes that `imaging.read` refuses of photos."""
        if not self._stream.width:  # The file does not tell.
            return
        height = self._stream.height
        width = _square_width(self._stream.width, self._pixel_aspect)
        if min(width, height) < MIN_SIDE_PX:
            raise VideoError(
                f"{self.path}: too small to show a hand, {width} x {height} pixels, "
                f"expected at least {MIN_SIDE_PX} on each side"
            )
        if width * height > MAX_PIXELS:
            raise VideoError(
                f"{self.path}: too large, {width} x {height} pixels, "
                f"at most {MAX_PIXELS / 1e6:.0f} million are read"
            )


def _square_width(width: int, pixel_aspect: float) -> int:
    """Columns of square pixels that a frame needs which is stored with others."""
    return round(width * pixel_aspect)


def _colour_space(frame) -> int:
    """As the frame tells, or as players guess it: of high definition BT.709, else BT.601."""
    if frame.colorspace != _UNKNOWN_SPACE:
        return frame.colorspace
    return _BT709 if frame.width >= 1280 or frame.height > 576 else _BT601


@contextmanager
def open_video(path: str | os.PathLike) -> Iterator[Video]:
    """Opens a video for reading.

    Raises:
      VideoError: the file is missing, no video, of frames smaller or larger than photos may be, or
        PyAV is missing.
    """
    av = _import_av()
    path = Path(path)
    try:
        container = av.open(os.fspath(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror or error})") from error
    with container:
        if not container.streams.video:
            raise VideoError(f"{path}: has no pictures")
        yield Video(path, container)


class VideoWriter:
    """Writes an MP4 (H.264, BT.709) frame by frame; see `open_video_writer`."""

    def __init__(self, place: Path, frames_per_second: float, *, path: Path) -> None:
        """
        Args:
          place: where the file grows.
          frames_per_second: about; each frame tells its own time.
          path: what errors call the file.

        Raises:
          VideoError: PyAV is missing.
        """
        self._av = _import_av()
        self._place, self._path = place, path
        self._rate = Fraction(frames_per_second).limit_denominator(1001)
        self._container = None
        self._stream = None

    def write(self, pixels: UInt8[np.ndarray, "h w 3"], seconds: float) -> None:
        """Appends a frame; of an odd width or height, which H.264 lacks, without the last pixels.

        Args:
          pixels: of the same size as the frames before.
          seconds: from the start of the video, later than those of the frame before.

        Raises:
          VideoWriteError: FFmpeg refuses the frame, or comes without H.264.
          OSError: the file cannot be written.
        """
        height, width = (side // 2 * 2 for side in pixels.shape[:2])
        with self._mishaps():
            if self._stream is None:
                self._container = self._av.open(os.fspath(self._place), "w", format="mp4")
                self._stream = self._container.add_stream("libx264", rate=self._rate)
                self._stream.width, self._stream.height = width, height
                self._stream.pix_fmt = "yuv420p"
                codec = self._stream.codec_context
                codec.time_base = _CLOCK
                codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
                codec.color_range = _LIMITED_RANGE
            shown = np.ascontiguousarray(pixels[:height, :width])
            # The encoder would convert by BT.601 whatever the file says.
            frame = self._av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
            )
            frame.time_base, frame.pts = _CLOCK, round(seconds / _CLOCK)
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Ends the file; there is none if no frame was written.

        Raises:
          VideoWriteError, OSError: as `write`.
        """
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with self._mishaps(), self._container as container:
                container.mux(stream.encode(None))

    @contextmanager
    def _mishaps(self) -> Iterator[None]:
        """Gives errors of PyAV one line; those that are OSErrors have it."""
        from av.codec.codec import UnknownCodecError

        try:
            yield
        except OSError:
            raise
        except UnknownCodecError as error:
            message = f"{self._path}: cannot be written (FFmpeg comes without {error})"
            raise VideoWriteError(message) from error
        except self._av.FFmpegError as error:
            message = f"{self._path}: cannot be written ({error.strerror or error})"
            raise VideoWriteError(message) from error


@contextmanager
def open_video_writer(path: str | os.PathLike, frames_per_second: float) -> Iterator[VideoWriter]:
    """A writer whose MP4 takes its name, whole, at the end; after an exception there is none.

    Raises:
      VideoError: PyAV is missing, or cannot write the file.
      OSError: the file cannot be written.
    """
    with (
        written_atomically(path) as temporary,
        closing(VideoWriter(temporary, frames_per_second, path=Path(path))) as writer,
    ):
        yield writer


def _import_av():
    try:
        import av
    except ImportError as error:
        raise VideoError("videos need PyAV: install i2uv-jax[video]") from error
    return av
