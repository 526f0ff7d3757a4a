"""What a benchmark asks: pictures, and the truth about their hands as far as it is there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.data.layouts.archive import Archive
from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.imaging.read import ImageError, read_photo

NUM_MANO_VERTICES = 778


def unknown(count: int) -> Float[np.ndarray, "n 3"]:
    """Points that nobody knows: NaN."""
    return np.full((count, 3), np.nan, np.float32)


@dataclass(frozen=True)
class Sample:
    """One picture's question. Metres; x right, y down, z away from the camera."""

    name: str
    photo: HandPhoto | None
    """None where the owners' files do not tell the picture and its camera."""
    keypoints: Float[np.ndarray, "21 3"] = field(default_factory=lambda: unknown(NUM_KEYPOINTS))
    """NaN where the truth is not known; likewise the vertices."""
    vertices: Float[np.ndarray, "v 3"] = field(default_factory=lambda: unknown(NUM_MANO_VERTICES))
    bone_m: float | None = None
    """Length of the middle finger's first bone, where participants may use it."""
    wrist: Float[np.ndarray, "3"] | None = None
    """Place of the wrist, where participants may use it."""
    problem: str | None = None
    """Why the picture or its truth cannot be used."""
    pixels: UInt8[np.ndarray, "h w 3"] | None = None
    """The picture, where it is not in a file."""
    visible_share: float | None = None
    """Of the part of the hand that faces the camera, or of its keypoints where only the hand
    itself is known to hide some; None where nothing tells."""
    monk_tone: int | None = None
    """The skin's, from 1 (light) to 10 (dark), where it is known."""
    age: float | None = None
    """MakeHuman's phenotype, 0 (a baby) to 1 (old), where it is known."""
    fill: float | None = None
    """The longer side of the hand's bounding box over the crop's, where both are known."""
    frame_of: tuple[str, int] | None = None
    """The sequence, and the number in it, of a picture that is a frame of one."""

    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """The pixels.

        Raises:
          ImageError: there are none that can be read.
        """
        if self.pixels is not None:
            return self.pixels
        if self.photo is None:
            raise ImageError(self.problem or "no picture")
        try:
            return read_photo(self.photo.image_path)
        except ImageError as error:
            cause = str(error).replace(f"{self.photo.image_path}: ", "")
            raise ImageError(f"picture: {cause}") from error

    @property
    def is_left(self) -> bool:
        return self.photo is not None and self.photo.is_left


@dataclass(frozen=True)
class Benchmark:
    """A list of samples and how the benchmark's owners score them."""

    key: str
    """As the command line calls it."""
    name: str
    samples: list[Sample]
    to_challenge: Callable[[np.ndarray], np.ndarray] = lambda keypoints: keypoints
    """Keypoints (21, 3) in the order and frame of the challenge's files."""
    from_challenge: Callable[[np.ndarray], np.ndarray] = lambda keypoints: keypoints
    mirror: tuple[int, int, int] = (1, 1, 1)
    """Signs of the axes of the challenge's frame, for vertices either way."""
    reflect: bool = True
    """Whether its alignment allows reflections, as the official scripts' does."""
    scales_and_shifts: bool = False
    """Whether keypoints are also scored after HO-3D's alignment by scale and wrist."""
    frames_per_second: float = 30.0
    """Of its sequences, where it has some."""


Points = tuple[np.ndarray, str | None]
"""Points, and why they are NaN if they are."""


def truths(archive: Archive, path: Path, count: int, shape: tuple[int, int]) -> list[Points]:
    """(points, problem) for `count` samples of a JSON list in which anything may be wrong.

    Raises:
      ValueError: the file is no JSON list, or holds more entries than there are samples.
    """
    if not path.exists():
        return [(unknown(shape[0]), f"{path.name}: no such file")] * count
    found = [read_points(entry, shape, path.name) for entry in archive.entries(path)]
    if len(found) > count:
        raise ValueError(f"{path}: holds {len(found)} entries for {count} pictures")
    short = (unknown(shape[0]), f"{path.name}: ends after {len(found)} entries")
    return found + [short] * (count - len(found))


def read_points(entry: object, shape: tuple[int | None, int], where: str) -> Points:
    """(points, problem): float32 of that shape, NaN with a reason if the entry holds others.

    Args:
      shape: (number of points, 3); None for any number.
      where: what the reason begins with.
    """
    nothing = unknown(shape[0] or 0)
    try:
        points = np.asarray(entry, np.float32)
    except (TypeError, ValueError):
        return nothing, f"{where}: no numbers"
    if points.ndim != 2 or points.shape[1] != 3 or shape[0] not in (None, len(points)):
        expected = "n" if shape[0] is None else shape[0]
        return nothing, f"{where}: expected {expected} x 3 numbers, got {_shape(points)}"
    if not np.isfinite(points).all():
        return unknown(len(points)), f"{where}: not all numbers are finite"
    return points, None


def with_truth(sample: Sample, keypoints: Points, vertices: Points) -> Sample:
    """The sample with (points, problem) of both kinds; its own problem comes first."""
    problems = [sample.problem, keypoints[1], vertices[1]]
    first = next((problem for problem in problems if problem is not None), None)
    return replace(sample, keypoints=keypoints[0], vertices=vertices[0], problem=first)


def stacked(samples: Iterable[Sample], name: str) -> Float[np.ndarray, "n p 3"]:
    """One of the truths of all samples."""
    return np.stack([getattr(sample, name) for sample in samples])


def named(problems: Iterable[tuple[str, str | None]]) -> dict[str, list[str]]:
    """Names by problem, those without one left out."""
    found: dict[str, list[str]] = {}
    for name, problem in problems:
        if problem is not None:
            found.setdefault(problem, []).append(name)
    return found


def _shape(points: np.ndarray) -> str:
    return " x ".join(map(str, points.shape)) or "one number"
