"""Hands of photos by two networks of MediaPipe's: one that finds palms and one that looks closer at
the hand of each, twice."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.detection.boxes import box_around, drop_contained, intersection_over_union
from i2uv_jax.detection.landmarks import (
    MIN_PRESENCE,
    hand_squares,
    keypoints_in_photo,
    mirrored_keypoints,
    square_about,
)
from i2uv_jax.detection.palms import find_palms
from i2uv_jax.imaging.crop import (
    SquareCrop,
    TurnedCrop,
    can_be_cropped,
    crop_from_box,
    crop_whole,
    extract,
    extract_turned,
)
from i2uv_jax.inference.arguments import as_picture
from i2uv_jax.inference.detected_hand import DetectedHand, plain_box
from i2uv_jax.inference.picture_networks import PictureNetworks

_MIN_PALM_SCORE = 0.2
"""Less likely palms are not looked at closer. MediaPipe looks from 0.5 on."""

_FARTHER = (2, 3)
"""Sides of the square that the palm network sees in longer sides of the photo, tried in this order
where it finds none: it overlooks palms that fill much of what it sees, as in pictures cut around a
hand."""

_SMALL = 0.25
"""A photo whose hands are all shorter than this share of its longer side may show others that are
too small to be found in the whole of it: it is looked at in parts, too."""

_FINER = 2
"""How much more of a photo its parts show: this many of them, side by side, are as long as it is.
They overlap by at least half, so that no palm is cut by the edges of all that show it."""

_MIN_PART_PALM_SCORE = 0.5
_MIN_PART_PRESENCE = 0.9
"""Palms and hands of parts are believed in from here on. There is more in them that looks like a
hand: in 237 pictures with hardly a person three hands reached this, and nothing else did."""

_BLACK = (0, 0, 0)
"""Of the bars that MediaPipe's palm network was trained with."""

_CONTAINED = 0.9
"""A hand of which a likelier one's box covers more than this share is that hand once more."""

_REPEATED = 0.7
"""Hands found in parts of a photo, and in the whole, are one if they share more than this of the
smaller of their boxes: parts overlap, and show the same hand in different sizes."""

_SAME_HAND = 0.5
"""Overlap of the boxes of two looks from which both saw the same hand."""

_NUM_TURNS = 4
"""Ways up in which a box is looked at where no palm tells which way the fingers point."""


class PalmDetector:
    """A `FollowingDetector` with two networks of MediaPipe's: one finds palms, and one looks closer
    at the hand of each and tells its keypoints and its side.

    Keypoints are, unless asked otherwise, the mean of two looks: at the square that the palm
    suggests, and at the mirror image of the one about the first look's keypoints.
    """

    def __init__(
        self,
        networks: PictureNetworks,
        *,
        min_score: float = MIN_PRESENCE,
        second_look: bool = True,
        in_parts: bool = True,
    ) -> None:
        """
        Args:
          networks: that find palms, and look closer.
          min_score: hands that are less likely are left out.
          second_look: whether to look at each hand twice, for better keypoints in more time.
          in_parts: whether to look closer for small hands where no large one is found.
        """
        self._palm_net, self._landmark_net = networks
        self._min_score = min_score
        self._second_look, self._in_parts = second_look, in_parts

    def compile(self) -> None:
        """Compiles ahead of the first call, once."""
        self._palm_net.compile()
        self._landmark_net.compile()

    def __call__(
        self, photo: UInt8[np.ndarray, "h w 3"], *, in_parts: bool = True
    ) -> list[DetectedHand]:
        """The hands of an sRGB photo of any size, the likeliest first, in boxes around their
        keypoints; an empty list if none.

        Where none is found, or small ones alone, the photo is looked at in parts, too, and where
        there is still none, as if from farther away, up to twice.

        Args:
          in_parts: False leaves the parts out this time, as for a photo cut around a hand.
        """
        photo = as_picture(photo)
        height, width, _ = photo.shape
        whole = crop_whole(width, height)
        hands = self._hands_in(photo, whole)
        if self._in_parts and in_parts and _are_small(hands, whole):
            more = self._hands_in_parts(photo, whole)
            hands = _each_once(hands + more, _REPEATED, either_way=True) if more else hands
        for distance in _FARTHER:
            if not hands:
                farther = replace(whole, side_px=distance * whole.side_px)
                hands = self._hands_in(photo, farther)
        return [self._look_again(photo, hand) for hand in hands] if self._second_look else hands

    def look_in_box(
        self, photo: UInt8[np.ndarray, "h w 3"], box_xyxy: Sequence[float]
    ) -> DetectedHand | None:
        """The hand that a box shows, without looking for its palm; None if it seems to show none.

        Of several ways to turn the box the one counts in which a hand is likeliest: it tells where
        the fingers point, and with that the square to look at.

        Raises:
          BoxError: the box does not fit the photo.
        """
        photo = as_picture(photo)
        height, width, _ = photo.shape
        crop = crop_from_box(box_xyxy, width, height)
        looks = [
            self._look_closer(photo, TurnedCrop(crop.centre_px, crop.side_px, angle))
            for angle in 2 * math.pi * np.arange(_NUM_TURNS) / _NUM_TURNS
        ]
        likeliest = max(looks, key=lambda look: look.score)
        if not can_be_cropped(likeliest.box_xyxy, width, height):
            return None
        hand = self._look_closer(photo, square_about(likeliest.keypoints[:, :2]))
        if not self._is_hand(hand, width, height):
            return None
        return self._look_again(photo, hand) if self._second_look else hand

    def follow(
        self, frame: UInt8[np.ndarray, "h w 3"], earlier: Sequence[DetectedHand]
    ) -> list[DetectedHand]:
        """The hands of a frame that are still about where they were, in the order given; those that
        are lost are left out."""
        frame = as_picture(frame)
        height, width, _ = frame.shape
        looks = [self._look_closer(frame, square_about(hand.keypoints[:, :2])) for hand in earlier]
        hands = [look for look in looks if self._is_hand(look, width, height)]
        return [self._look_again(frame, hand) for hand in hands] if self._second_look else hands

    def _hands_in(
        self, photo: UInt8[np.ndarray, "h w 3"], square: SquareCrop
    ) -> list[DetectedHand]:
        """Those of the palms that are found in a square, after one look at each."""
        pixels = extract(photo, square, self._palm_net.image_size, fill=_BLACK)
        return self._hands_of(self._find_palms(pixels, square, _MIN_PALM_SCORE), photo)

    def _hands_in_parts(
        self, photo: UInt8[np.ndarray, "h w 3"], whole: SquareCrop
    ) -> list[DetectedHand]:
        """Those of the palms that are surely found in parts of the whole, after one look at each;
        none where parts have no more pixels than the network sees of the whole."""
        size = self._palm_net.image_size
        if whole.side_px < _FINER * size:
            return []
        height, width, _ = photo.shape
        # Shrunk once, since most of the time would go into that.
        shrunk = extract(photo, whole, _FINER * size, fill=_BLACK)
        squares = []
        for row in _starts(height / whole.side_px, size):
            for column in _starts(width / whole.side_px, size):
                middle = np.array([column, row]) + size / 2
                x, y = whole.to_pixels(middle / (_FINER * size))
                part = SquareCrop((float(x), float(y)), whole.side_px / _FINER)
                pixels = shrunk[row : row + size, column : column + size]
                squares += self._find_palms(pixels, part, _MIN_PART_PALM_SCORE)
        hands = self._hands_of(squares, photo)
        return [hand for hand in hands if hand.score >= _MIN_PART_PRESENCE]

    def _find_palms(
        self, pixels: UInt8[np.ndarray, "s s 3"], square: SquareCrop, min_score: float
    ) -> list[TurnedCrop]:
        """The squares about the hands whose palms a square of a photo shows."""
        told = self._palm_net(pixels)
        palms = find_palms(told.logits, told.values, self._palm_net.image_size, min_score=min_score)
        return hand_squares(palms, square)

    def _hands_of(
        self, squares: list[TurnedCrop], photo: UInt8[np.ndarray, "h w 3"]
    ) -> list[DetectedHand]:
        """What squares show, as far as it is a hand, the likeliest first."""
        height, width, _ = photo.shape
        looks = [self._look_closer(photo, square) for square in squares]
        return _each_once([look for look in looks if self._is_hand(look, width, height)])

    def _is_hand(self, look: DetectedHand, width: int, height: int) -> bool:
        return look.score >= self._min_score and can_be_cropped(look.box_xyxy, width, height)

    def _look_closer(
        self, photo: UInt8[np.ndarray, "h w 3"], square: TurnedCrop, *, mirrored: bool = False
    ) -> DetectedHand:
        """The hand that a square shows.

        Args:
          mirrored: the network sees the square's mirror image; the answer is of the photo.
        """
        size = self._landmark_net.image_size
        pixels = extract_turned(photo, square, size)
        pixels = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
        seen = self._landmark_net(pixels)
        keypoints = mirrored_keypoints(seen.keypoints, size) if mirrored else seen.keypoints
        score = 1 / (1 + math.exp(-float(np.clip(seen.presence_logit, -100, 100))))
        is_right = (seen.right_logit > 0) != mirrored
        return _hand_of(keypoints_in_photo(keypoints, square, size), is_right, score)

    def _look_again(self, photo: UInt8[np.ndarray, "h w 3"], hand: DetectedHand) -> DetectedHand:
        """The same hand with the mean of both looks' keypoints, if the second shows it, too."""
        height, width, _ = photo.shape
        again = self._look_closer(photo, square_about(hand.keypoints[:, :2]), mirrored=True)
        keypoints = (hand.keypoints + again.keypoints) / 2
        both = _hand_of(keypoints, hand.handedness == "right", hand.score)
        first_box, second_box = (np.array([look.box_xyxy]) for look in (hand, again))
        is_same = (
            again.score >= MIN_PRESENCE
            and again.handedness == hand.handedness
            and intersection_over_union(first_box, second_box)[0, 0] >= _SAME_HAND
        )
        return both if is_same and can_be_cropped(both.box_xyxy, width, height) else hand


def _are_small(hands: list[DetectedHand], photo: SquareCrop) -> bool:
    boxes = np.array([hand.box_xyxy for hand in hands]).reshape(-1, 4)
    return bool(((boxes[:, 2:] - boxes[:, :2]) < _SMALL * photo.side_px).all())


def _starts(length: float, size: int) -> list[int]:
    """Where parts of `size` pixels begin along a side of the shrunk square that shows a photo.

    Args:
      length: of the photo along that side, in sides of the square: the rest is bars.
    """
    seen = length * _FINER * size
    bar = (_FINER * size - seen) / 2
    if seen <= size:
        return [size // 2]
    count = 1 + math.ceil((seen - size) / (size / 2))
    return [round(start) for start in np.linspace(bar, bar + seen - size, count)]


def _each_once(
    hands: list[DetectedHand], threshold: float = _CONTAINED, *, either_way: bool = False
) -> list[DetectedHand]:
    """The likeliest first, each hand once: arguments as for `drop_contained`."""
    boxes = np.array([hand.box_xyxy for hand in hands]).reshape(-1, 4)
    scores = np.array([hand.score for hand in hands])
    return [
        hands[index] for index in drop_contained(boxes, scores, threshold, either_way=either_way)
    ]


def _hand_of(keypoints: Float[np.ndarray, "21 3"], is_right: bool, score: float) -> DetectedHand:
    box = plain_box(box_around(keypoints[:, :2]))
    return DetectedHand(box, "right" if is_right else "left", score, keypoints)
