"""Hands are looked for where they were: when frames are searched, and what of it counts."""

from dataclasses import replace

import numpy as np
import pytest

from i2uv_jax.inference.detected_hand import DetectedHand, FollowingDetector
from i2uv_jax.inference.drawn_photos import draw_photo
from i2uv_jax.inference.following import HandFollower
from i2uv_jax.inference.hand_detector import load_detector

FRAME = np.zeros((480, 640, 3), np.uint8)
LEFT_BELOW = np.linspace(0, 1, 21)[:, None] * np.ones(3)


def hand(left, *, top=100.0, side=100.0, score=0.9):
    """A hand whose keypoints lie on a diagonal of its box."""
    keypoints = LEFT_BELOW * side + np.array([left, top, 0])
    return DetectedHand((left, top, left + side, top + side), "right", score, keypoints)


class Detector:
    """Finds what it is told to, follows likewise, and notes how it was asked."""

    def __init__(self):
        self.found = []
        self.followed = None
        self.searches = []

    def __call__(self, photo, *, in_parts=True):
        self.searches.append("thorough" if in_parts else "whole")
        return list(self.found)

    def look_in_box(self, photo, box_xyxy):
        raise AssertionError("no box is known")

    def follow(self, frame, earlier):
        return list(earlier) if self.followed is None else list(self.followed)


@pytest.fixture
def detector():
    return Detector()


def searches_of(detector, follower, times):
    """How each of the frames was searched."""
    answers = []
    for seconds in times:
        detector.searches.clear()
        follower(seconds, FRAME)
        answers.append(detector.searches[-1] if detector.searches else None)
    return answers


def test_frames_are_searched_five_times_a_second(detector):
    assert isinstance(detector, FollowingDetector)
    detector.found = [hand(100)]
    follower = HandFollower(detector)
    answers = searches_of(detector, follower, [number / 20 for number in range(40)])
    assert answers == 10 * ["thorough", None, None, None]


def test_without_hands_each_frame_is_searched_but_seldom_in_parts(detector):
    answers = searches_of(detector, HandFollower(detector), [0.0, 0.1, 0.15, 0.2, 0.25])
    assert answers == ["thorough", "whole", "whole", "thorough", "whole"]


def test_where_a_hand_is_lost_it_is_searched_at_once(detector):
    detector.found = [hand(100), hand(400)]
    follower = HandFollower(detector)
    assert len(follower(0.0, FRAME)) == 2
    detector.followed = [hand(105)]
    detector.found = [hand(410)]
    assert [one.box_xyxy[0] for one in follower(0.05, FRAME)] == [105, 410]
    assert detector.searches == ["thorough", "whole"]


def test_new_hands_join_those_that_are_followed(detector):
    detector.found = [hand(100)]
    follower = HandFollower(detector)
    follower(0.0, FRAME)
    # A new one beside the first; the first as the search has it; and a part of the first.
    detector.found = [hand(400, score=1.0), hand(115), hand(130, top=130, side=50, score=1.0)]
    assert [one.box_xyxy[0] for one in follower(0.2, FRAME)] == [100, 400]


def test_what_is_clearly_likelier_takes_a_hand_s_place(detector):
    detector.found = [hand(100, score=0.6)]
    follower = HandFollower(detector)
    follower(0.0, FRAME)
    detector.found = [hand(120, score=0.75)]
    assert [one.box_xyxy[0] for one in follower(0.2, FRAME)] == [100]
    detector.found = [hand(120, score=0.85)]
    assert [one.box_xyxy[0] for one in follower(0.4, FRAME)] == [120]


def test_one_of_two_hands_at_one_place_comes_back(detector):
    right, left = hand(100), hand(100, score=0.95)
    left = replace(left, keypoints=left.keypoints[::-1])
    detector.found = [right]
    follower = HandFollower(detector)
    follower(0.0, FRAME)
    detector.found = [left, right]
    first, second = follower(0.2, FRAME)
    assert first is right and second is left


def test_a_likelier_part_takes_no_hand_s_place(detector):
    large, part = hand(100, side=200, score=0.7), hand(150, top=150, side=50, score=0.95)
    detector.found = [large]
    follower = HandFollower(detector)
    follower(0.0, FRAME)
    detector.found = [part, large]
    assert follower(0.2, FRAME) == [large]


def test_hands_that_have_become_one_are_one(detector):
    detector.found = [hand(100, score=0.7), hand(300), hand(500)]
    follower = HandFollower(detector)
    follower(0.0, FRAME)
    detector.followed = [hand(290, score=0.7), hand(300), hand(500)]
    detector.found = []
    assert [one.box_xyxy[0] for one in follower(0.05, FRAME)] == [300, 500]
    # Two hands in one place, such as folded ones, are not.
    mirrored = hand(500)
    mirrored = replace(mirrored, keypoints=mirrored.keypoints[::-1])
    detector.followed = [hand(300), hand(500), mirrored]
    assert len(follower(0.1, FRAME)) == 3


def test_no_more_are_followed_than_are_wanted(detector):
    detector.found = [hand(100), hand(300), hand(500)]
    follower = HandFollower(detector, max_hands=2)
    assert [one.box_xyxy[0] for one in follower(0.0, FRAME)] == [100, 300]
    # Whoever is followed stays, but for somebody clearly likelier.
    detector.found = [hand(500, score=1.0)]
    assert [one.box_xyxy[0] for one in follower(0.3, FRAME)] == [100, 300]
    detector.followed = [hand(100, score=0.7), hand(300)]
    assert [one.box_xyxy[0] for one in follower(0.4, FRAME)] == [100, 300]  # not searched
    assert [one.box_xyxy[0] for one in follower(0.6, FRAME)] == [300, 500]
    detector.followed = [hand(300)]
    detector.found = [hand(200, top=300, score=0.5)]
    assert [one.box_xyxy[0] for one in follower(0.7, FRAME)] == [300, 200]


def test_a_drawn_hand_is_followed_as_it_moves_and_lost_where_it_is_gone():
    photo = draw_photo(640, 480, 2)
    detector = load_detector(second_look=False)
    (found,) = detector(photo)
    moved = np.roll(photo, (15, 30), axis=(0, 1))
    (followed,) = detector.follow(moved, [found])
    apart = np.linalg.norm((followed.keypoints - found.keypoints)[:, :2] - [30, 15], axis=-1)
    assert apart.mean() < 6 and apart.max() < 16  # pixels of a hand of 288
    assert followed.handedness == "right"
    assert detector.follow(np.full_like(photo, 120), [found]) == []
    assert detector.follow(photo, []) == []
