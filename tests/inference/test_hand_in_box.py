"""The hand of a given box: found around it, or looked for straight in it."""

import numpy as np
import pytest

from i2uv_jax.imaging.crop import BoxError
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.hand_in_box import find_in_box

PHOTO = np.zeros((100, 200, 3), np.uint8)
BOX = (100.0, 40.0, 140.0, 80.0)


class Finder:
    """Finds given hands in whatever it is shown, and remembers the sizes of that."""

    def __init__(self, *hands):
        self.hands, self.shown = list(hands), []

    def __call__(self, photo):
        self.shown.append(photo.shape[:2])
        return self.hands


class Looker(Finder):
    """Also sees a given hand in any box."""

    def __init__(self, *hands, sees):
        super().__init__(*hands)
        self.sees, self.boxes, self.close_ups = sees, [], []

    def __call__(self, photo, *, in_parts=True):
        self.close_ups.append(not in_parts)
        return super().__call__(photo)

    def look_in_box(self, photo, box_xyxy):
        self.boxes.append(tuple(box_xyxy))
        return self.sees


def hand_at(*box, side="left", score=0.9):
    return DetectedHand(box, side, score, np.tile([box[0], box[1], 3.0], (21, 1)))


def test_the_nearest_hand_around_the_box_is_moved_into_the_photo():
    # The box with its room is 64 pixels square about (120, 60): from (88, 28) to (152, 92).
    detector = Looker(hand_at(0, 0, 9, 9), hand_at(14, 10, 54, 50), sees=hand_at(*BOX))
    found = find_in_box(detector, PHOTO, BOX)
    assert (detector.shown, detector.close_ups, detector.boxes) == ([(64, 64)], [True], [])
    np.testing.assert_array_equal(found.keypoints[0], [102, 38, 3])
    assert (found.box_xyxy, found.handedness, found.score) == (BOX, "left", 0.9)


@pytest.mark.parametrize("around", [[], [hand_at(0, 0, 20, 20)]])
def test_a_box_in_which_none_is_found_is_looked_at_itself(around):
    detector = Looker(*around, sees=hand_at(98, 40, 140, 82, side="right"))
    found = find_in_box(detector, PHOTO, BOX)
    assert detector.boxes == [BOX]
    assert (found.box_xyxy, found.handedness) == (BOX, "right")
    np.testing.assert_array_equal(found.keypoints[0], [98, 40, 3])


@pytest.mark.parametrize(("score", "side"), [(0.6, "left"), (0.4, "right")])
def test_of_a_doubtful_hand_and_the_one_seen_straight_in_the_box_the_likelier_counts(score, side):
    doubtful = hand_at(14, 10, 54, 50, score=0.5, side="right")
    seen = hand_at(*BOX, score=score, side="left")
    assert find_in_box(Looker(doubtful, sees=seen), PHOTO, BOX).handedness == side


@pytest.mark.parametrize("sees", [None, hand_at(150, 40, 190, 80)])
def test_what_is_seen_beside_the_box_is_another_hand(sees):
    assert find_in_box(Looker(sees=sees), PHOTO, BOX) is None
    assert find_in_box(Finder(), PHOTO, BOX) is None


def test_without_a_box_the_likeliest_hand_of_the_photo_counts():
    first, other, seen = hand_at(0, 0, 30, 30), hand_at(50, 50, 90, 90), hand_at(1, 1, 99, 99)
    assert find_in_box(Looker(first, other, sees=seen), PHOTO, None) is first
    detector = Looker(sees=seen)
    assert find_in_box(detector, PHOTO, None) is seen
    assert (detector.boxes, detector.close_ups) == ([(0, 0, 200, 100)], [False])
    assert find_in_box(Finder(), PHOTO, None) is None


def test_a_box_that_does_not_fit_is_refused():
    with pytest.raises(BoxError, match="outside"):
        find_in_box(Finder(), PHOTO, (300, 0, 400, 50))
