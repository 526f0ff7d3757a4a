"""Hands of frames that follow each other: looked for where they were, which takes less time than to
find them anew, holds on to hands too small or too turned to be found, and shakes less."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.detection.boxes import intersection_over_smaller, intersection_over_union
from i2uv_jax.inference.detected_hand import DetectedHand, FollowingDetector

_SEARCH_INTERVAL_S = 0.2
"""How long a new hand may stay unseen beside others."""

_ROUNDING_S = 1e-6
"""Of frames' times: 0.6 - 0.4 is less than 0.2."""

_SAME_BOX = 0.5
"""Overlap from which a hand that is found may be one that is followed."""

_PART = 0.6
"""Share of the smaller box, within the other, from which a hand that is found is taken for a part
of one that is followed, as detectors see some: nor is a small hand before a large one found anew.
"""

_LIKELIER = 0.2
"""What is found counts instead of a hand that is followed, at the same place or where there are too
many, if its score is higher by this."""

_SAME_PLACE = 0.2
"""Mean distance of keypoints, in sides of the box, below which two hands that are followed have
become one."""


class HandFollower:
    """Finds the hands of one frame after the other; for one thread at a time."""

    def __init__(self, detector: FollowingDetector, *, max_hands: int | None = None) -> None:
        """
        Args:
          detector: searches frames, and looks again where hands were.
          max_hands: how many are followed at most; None sets no limit.
        """
        self._detector = detector
        self._max_hands = max_hands
        self._hands: list[DetectedHand] = []
        self._searched_s = -math.inf

    def __call__(self, seconds: float, frame: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """The hands of the next frame: those of the frame before, then those that are new.

        The whole frame is searched from time to time, also where a hand was lost, and always where
        there is none; part by part, for small hands, from time to time alone.

        Args:
          seconds: the frame's time, later than that of the frame before.
        """
        num_before = len(self._hands)
        hands = _each_once(self._detector.follow(frame, self._hands))
        is_due = seconds - self._searched_s >= _SEARCH_INTERVAL_S - _ROUNDING_S
        if is_due or not hands or len(hands) < num_before:
            found = self._detector(frame, in_parts=is_due)
            hands = _joined(hands, found, self._max_hands)
            self._searched_s = seconds if is_due else self._searched_s
        self._hands = hands
        return list(hands)


def _each_once(followed: Sequence[DetectedHand]) -> list[DetectedHand]:
    """Without the less likely ones of those that have become one."""
    kept: list[int] = []
    for number in sorted(range(len(followed)), key=lambda number: -followed[number].score):
        if not any(_are_at_one_place(followed[number], followed[other]) for other in kept):
            kept.append(number)
    return [followed[number] for number in sorted(kept)]


def _joined(
    followed: Sequence[DetectedHand], found: Sequence[DetectedHand], max_hands: int | None
) -> list[DetectedHand]:
    """Those that are followed, and behind them what was found and is none of them."""
    hands, new = list(followed), []
    partners = _partners(followed, found)
    for number, hand in enumerate(found):
        place = partners.get(number)
        if place is None:
            # Two hands at one place are two if the other one was found there as well.
            others = (
                other
                for place, other in enumerate(followed)
                if place not in partners.values() or not _is_same_box(hand, other)
            )
            if not any(_is_part(hand, other) for other in others):
                new.append(hand)
        elif hand.score > hands[place].score + _LIKELIER:
            hands[place] = hand
    worth = [hand.score + _LIKELIER for hand in hands] + [hand.score for hand in new]
    kept = np.argsort(-np.array(worth), kind="stable")[:max_hands]
    return [(hands + new)[place] for place in sorted(kept)]


def _partners(followed: Sequence[DetectedHand], found: Sequence[DetectedHand]) -> dict[int, int]:
    """Which of those that are followed each of those that were found is, if any: the nearest first,
    each once."""
    pairs = [
        (_apart(hand, other), number, place)
        for number, hand in enumerate(found)
        for place, other in enumerate(followed)
        if _is_same_box(hand, other)
    ]
    partners: dict[int, int] = {}
    for _, number, place in sorted(pairs):
        if number not in partners and place not in partners.values():
            partners[number] = place
    return partners


def _are_at_one_place(hand: DetectedHand, other: DetectedHand) -> bool:
    left, top, right, bottom = hand.box_xyxy
    return _apart(hand, other) < _SAME_PLACE * max(right - left, bottom - top)


def _apart(hand: DetectedHand, other: DetectedHand) -> float:
    """Mean distance of their keypoints in the picture."""
    return float(np.linalg.norm((hand.keypoints - other.keypoints)[:, :2], axis=-1).mean())


def _is_same_box(hand: DetectedHand, other: DetectedHand) -> bool:
    boxes = np.array([hand.box_xyxy]), np.array([other.box_xyxy])
    return bool(intersection_over_union(*boxes)[0, 0] >= _SAME_BOX)


def _is_part(hand: DetectedHand, other: DetectedHand) -> bool:
    boxes = np.array([hand.box_xyxy]), np.array([other.box_xyxy])
    return bool(intersection_over_smaller(*boxes)[0, 0] >= _PART)
