"""Hands over the frames of a video: which is the same as before, and steadier than each by itself.

NumPy and SciPy alone; every object here is used by one thread at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.prediction import Handedness, HandPrediction

_MAX_MOVE = 0.8
"""How far a hand can get from one frame to the next, in sides of its box."""

_OTHER_SIDE = 0.3
"""What a hand of the other side costs as a successor, in such sides: hands that cross go on."""

_MAX_GAP_S = 0.5
"""How long a hand may stay unseen and still be the same; from one frame to the next any time may
pass."""

_MEMORY = 0.9
"""How much of what was seen of a hand's side each frame keeps: single mistakes do not count."""


@dataclass(frozen=True)
class TrackedHand:
    """A hand that was found in a frame."""

    track: int
    """The same number in every frame for the same hand, from 1."""
    handedness: Handedness
    """As most frames of the track have it; right if the detector tells none."""
    found: DetectedHand


@dataclass
class _Track:
    box: Float[np.ndarray, "4"]
    seen_s: float
    right_votes: float = 0.0
    """Above 0 for a right hand."""


class HandTracker:
    """Numbers the hands of frames that follow each other."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._num_tracks = 0
        self._last_s = -math.inf

    def update(self, seconds: float, hands: Sequence[DetectedHand]) -> list[TrackedHand]:
        """The hands of the next frame with their tracks, in the order given.

        Args:
          seconds: the frame's time, later than that of the frame before.
        """
        oldest_s = min(seconds - _MAX_GAP_S, self._last_s)
        self._tracks = {
            number: track for number, track in self._tracks.items() if track.seen_s >= oldest_s
        }
        self._last_s = seconds
        numbers = self._successors(hands)
        return [
            self._seen(number, seconds, hand) for number, hand in zip(numbers, hands, strict=True)
        ]

    def _successors(self, hands: Sequence[DetectedHand]) -> list[int | None]:
        """The track that each hand goes on with, if any: together with the least moves."""
        known = list(self._tracks)
        moves = np.array(
            [[_move(self._tracks[number], hand) for number in known] for hand in hands]
        ).reshape(len(hands), len(known))
        numbers: list[int | None] = [None] * len(hands)
        # What is out of reach costs so much that it is never taken for the sake of another pair.
        allowed = np.where(moves <= _MAX_MOVE, moves, 1e3)
        for row, column in zip(*linear_sum_assignment(allowed), strict=True):
            if moves[row, column] <= _MAX_MOVE:
                numbers[row] = known[column]
        return numbers

    def _seen(self, number: int | None, seconds: float, hand: DetectedHand) -> TrackedHand:
        if number is None:
            self._num_tracks += 1
            number = self._num_tracks
        track = self._tracks.setdefault(number, _Track(np.array(hand.box_xyxy), seconds))
        track.box, track.seen_s = np.array(hand.box_xyxy), seconds
        vote = {"right": hand.score, "left": -hand.score, None: 0.0}[hand.handedness]
        track.right_votes = _MEMORY * track.right_votes + vote
        return TrackedHand(number, "right" if track.right_votes >= 0 else "left", hand)


def _move(track: _Track, hand: DetectedHand) -> float:
    """How far the box's middle has moved, in sides of the box."""
    box = np.array(hand.box_xyxy)
    side = max((box[2:] - box[:2]).max(), (track.box[2:] - track.box[:2]).max())
    move = np.linalg.norm((box[:2] + box[2:]) - (track.box[:2] + track.box[2:])) / 2 / side
    vote = {"right": 1, "left": -1, None: 0}[hand.handedness]
    return float(move) + (_OTHER_SIDE if vote * track.right_votes < 0 else 0.0)


class OneEuroFilter:
    """Smooths points over time, the less the faster they move (Casiez et al., 1 Euro Filter, CHI
    2012), with one cutoff for all of them, so that what is linear in them stays so."""

    min_cutoff_hz = 1.5
    """Of points at rest."""
    cutoff_per_speed = 4.0
    """Hz more for each size that the points move in a second."""
    speed_cutoff_hz = 1.0

    def __init__(self, seconds: float, points: Float[np.ndarray, "n d"]) -> None:
        self._seconds = seconds
        self._points = points
        self._velocity = np.zeros_like(points)

    def __call__(
        self, seconds: float, points: Float[np.ndarray, "n d"], size: float
    ) -> Float[np.ndarray, "n d"]:
        """The points at a later time.

        Args:
          size: the length that speeds are compared with, in the points' unit.
        """
        step_s = max(seconds - self._seconds, 1e-6)
        velocity = (points - self._points) / step_s
        self._velocity += _share(self.speed_cutoff_hz, step_s) * (velocity - self._velocity)
        speed = math.sqrt((self._velocity**2).sum(axis=-1).mean()) / size
        cutoff_hz = self.min_cutoff_hz + self.cutoff_per_speed * speed
        self._points = self._points + _share(cutoff_hz, step_s) * (points - self._points)
        self._seconds = seconds
        return self._points


def _share(cutoff_hz: float, step_s: float) -> float:
    """How much of the new value a first-order low-pass takes."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * step_s))


class HandSmoother:
    """Smooths the meshes and keypoints of tracks, in the picture and in millimetres."""

    def __init__(self) -> None:
        self._filters: dict[int, _Smoothed] = {}

    def __call__(self, seconds: float, track: int, hand: HandPrediction) -> HandPrediction:
        """The hand of a track's next frame, smoothed; its UV map stays as it is.

        Args:
          hand: without a leading dimension.
        """
        count = len(hand.vertices_mm)
        in_mm = np.concatenate([hand.vertices_mm, hand.keypoints_3d_mm])
        in_picture = np.concatenate([hand.vertices_2d, hand.keypoints_2d])
        earlier_s = [one.seconds for one in self._filters.values() if one.seconds < seconds]
        oldest_s = min(seconds - _MAX_GAP_S, max(earlier_s, default=-math.inf))
        self._filters = {
            number: smoothed
            for number, smoothed in self._filters.items()
            if smoothed.seconds >= oldest_s
        }
        smoothed = self._filters.get(track)
        # A track whose side has changed is another hand.
        if smoothed is None or smoothed.handedness != hand.handedness:
            filters = OneEuroFilter(seconds, in_mm), OneEuroFilter(seconds, in_picture)
            self._filters[track] = _Smoothed(seconds, hand.handedness, *filters)
            return hand
        smoothed.seconds = seconds
        in_mm = smoothed.in_mm(seconds, in_mm, _size(in_mm))
        in_picture = smoothed.in_picture(seconds, in_picture, _size(in_picture))
        return replace(
            hand,
            vertices_mm=in_mm[:count],
            keypoints_3d_mm=in_mm[count:],
            vertices_2d=in_picture[:count],
            keypoints_2d=in_picture[count:],
        )


@dataclass
class _Smoothed:
    seconds: float
    handedness: Handedness
    in_mm: OneEuroFilter
    in_picture: OneEuroFilter


def _size(points: Float[np.ndarray, "n d"]) -> float:
    return max(float(np.ptp(points, axis=0).max()), 1e-6)
