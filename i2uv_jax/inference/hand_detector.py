"""Finding hands in whole photos: MediaPipe's two networks in JAX, our heat-map network, or all of
MediaPipe as it is.

    detector = load_detector()
    for found in detector(photo):
        hand = model(photo, **found.for_model(model))

The photo is shrunk into the network's square, bars filling what is left (`imaging.crop`). Networks
are compiled for one picture each; calls from several threads are fine.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from i2uv_jax.config import DetectorConfig, LandmarkNetConfig, PalmNetConfig
from i2uv_jax.detection.boxes import (
    MIN_SCORE,
    drop_contained,
    intersection_over_union,
    pick_boxes,
)
from i2uv_jax.detection.landmarks import hand_squares, keypoints_in_photo
from i2uv_jax.detection.mediapipe_hands import MediaPipeHands
from i2uv_jax.detection.palms import find_palms
from i2uv_jax.detection.peaks import Peaks, find_peaks
from i2uv_jax.imaging.crop import (
    BoxError,
    TurnedCrop,
    crop_from_box,
    crop_whole,
    extract,
    extract_turned,
)
from i2uv_jax.inference.arguments import as_picture
from i2uv_jax.inference.prediction import AskedHandedness, Handedness
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.detector import build_detector
from i2uv_jax.models.folding import fold_batch_norm, folded_norms
from i2uv_jax.models.landmark_net import build_landmark_net
from i2uv_jax.models.model_files import DETECTOR, LANDMARK_NET, PALM_NET, shipped_file
from i2uv_jax.models.palm_net import build_palm_net
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.ops.compiling import compiler_options

PALM, HEAT_MAP = "palm", "heatmap"
"""Names of the detectors whose weights come with the package."""

_MIN_PALM_SCORE = 0.2
"""Less likely palms are not looked at closer. MediaPipe looks from 0.5 on."""

MIN_LANDMARK_PRESENCE = 0.4
"""Palms where a closer look finds a hand less likely than this are taken for none: single fingers
reach 0.3. MediaPipe takes 0.5."""

_DISTANCES = (1, 2, 3)
"""Sides of the square that the palm network sees in longer sides of the photo, tried in this order:
it overlooks palms that fill much of what it sees, as in pictures cut around a hand."""

_BLACK = (0, 0, 0)
"""Of the bars that MediaPipe's palm network was trained with."""

_CONTAINED = 0.9
"""A hand of which a likelier one's box covers more than this share is that hand once more."""

_FLESH = 0.15
"""How far a hand reaches beyond its keypoints, on both sides together, in sides of their box."""


_BOX_ROOM = 0.6
"""Room about a given box, in sides of it: palms are found best in pictures that hands do not fill.
"""
_SAME_HAND = 0.3
"""Overlap from which a hand that is found is taken for the one whose box is given."""


@dataclass(frozen=True)
class DetectedHand:
    """Where a hand is in a photo."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels of the photo; may reach past its edges."""
    handedness: Handedness | None
    """None where the detector does not tell sides."""
    score: float
    """From 0 to 1."""
    keypoints: Float[np.ndarray, "21 3"] | None = None
    """x and y in pixels of the photo, edge to edge, and z in such pixels from the wrist, away from
    the camera; in the order of `geometry.keypoints.KEYPOINT_NAMES`. None where the detector does
    not tell."""

    def for_model(
        self, model: Predictor, handedness: AskedHandedness | None = None
    ) -> dict[str, Any]:
        """Arguments with which to ask a model about this hand.

        Args:
          handedness: the side, whatever the detector says. Keypoints of what it took for a hand of
            the other side mislead, and are left out.
        """
        side = handedness or self.handedness or "right"
        told = self.keypoints if side == self.handedness and model.takes_keypoints else None
        return {"box_xyxy": self.box_xyxy, "handedness": side, "keypoints": told}


class PhotoDetector(Protocol):
    """Finds the hands of a photo, the likeliest first; may be called from several threads."""

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]: ...


class HeatMapDetector:
    """A `PhotoDetector` with a network of ours."""

    def __init__(
        self, config: DetectorConfig, variables: dict, *, min_score: float = MIN_SCORE
    ) -> None:
        """
        Args:
          config: the network.
          variables: its Flax variables.
          min_score: hands that are less likely are left out.
        """
        self.config = config
        self._min_score = min_score
        self._variables = fold_batch_norm(variables)

    def compile(self) -> None:
        """Compiles ahead of the first call, once."""
        _ = self._compiled

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """The hands of an sRGB photo of any size, the likeliest first; an empty list if none."""
        photo = as_picture(photo)
        height, width, _ = photo.shape
        square = crop_whole(width, height)
        pixels = extract(photo, square, self.config.image_size)
        peaks = jax.tree.map(
            lambda leaf: leaf[0], jax.device_get(self._compiled(self._variables, pixels[None]))
        )
        found = pick_boxes(
            peaks.centre, peaks.side, peaks.score, peaks.left_share, min_score=self._min_score
        )
        hands = []
        for box, score, is_left in zip(found.boxes, found.scores, found.is_left, strict=True):
            corners = square.to_pixels(box.reshape(2, 2)).ravel()
            if _can_be_cropped(corners, width, height):
                side: Handedness = "left" if is_left else "right"
                hands.append(DetectedHand(_plain(corners), side, float(score)))
        return hands

    @cached_property
    def _compiled(self) -> jax.stages.Compiled:
        model = build_detector(self.config)

        def find(variables: dict, pixels: UInt8[Array, "b s s 3"]) -> Peaks:
            with folded_norms():
                output = model.apply(variables, pixels.astype(jnp.float32) / 255, train=False)
            return find_peaks(output)

        return _compile_for_one(find, self._variables, self.config.image_size)


class PalmDetector:
    """A `PhotoDetector` with two networks of MediaPipe's: one finds palms, and one looks closer at
    the hand of each and tells its keypoints and its side."""

    def __init__(
        self,
        palm_config: PalmNetConfig,
        palm_variables: dict,
        landmark_config: LandmarkNetConfig,
        landmark_variables: dict,
        *,
        min_score: float = MIN_LANDMARK_PRESENCE,
    ) -> None:
        """
        Args:
          palm_config, landmark_config: the networks.
          palm_variables, landmark_variables: their Flax variables.
          min_score: hands that are less likely are left out.
        """
        self._palm_config, self._landmark_config = palm_config, landmark_config
        self._palm_variables, self._landmark_variables = palm_variables, landmark_variables
        self._min_score = min_score

    def compile(self) -> None:
        """Compiles ahead of the first call, once."""
        _ = self._compiled_palm_net, self._compiled_landmark_net

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """The hands of an sRGB photo of any size, the likeliest first, in boxes around their
        keypoints; an empty list if none.

        Where none is found the photo is looked at again as if from farther away, up to twice.
        """
        photo = as_picture(photo)
        for distance in _DISTANCES:
            hands = self._hands_from(distance, photo)
            if hands:
                break
        return hands

    def _hands_from(self, distance: float, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """Those that are found where the photo's longer side is 1 / distance of the square's."""
        height, width, _ = photo.shape
        whole = crop_whole(width, height)
        whole = replace(whole, side_px=distance * whole.side_px)
        size = self._palm_config.image_size
        pixels = extract(photo, whole, size, fill=_BLACK)
        output = jax.device_get(self._compiled_palm_net(self._palm_variables, pixels[None]))
        palms = find_palms(output.logits[0], output.values[0], size, min_score=_MIN_PALM_SCORE)
        hands = [self._look_closer(photo, square) for square in hand_squares(palms, whole)]
        hands = [
            hand
            for hand in hands
            if hand.score >= self._min_score and _can_be_cropped(hand.box_xyxy, width, height)
        ]
        boxes = np.array([hand.box_xyxy for hand in hands]).reshape(-1, 4)
        scores = np.array([hand.score for hand in hands])
        return [hands[index] for index in drop_contained(boxes, scores, _CONTAINED)]

    def _look_closer(self, photo: UInt8[np.ndarray, "h w 3"], square: TurnedCrop) -> DetectedHand:
        size = self._landmark_config.image_size
        pixels = extract_turned(photo, square, size)
        output = self._compiled_landmark_net(self._landmark_variables, pixels[None])
        seen = jax.tree.map(lambda leaf: leaf[0], jax.device_get(output))
        keypoints = keypoints_in_photo(seen.keypoints, square, size)
        return DetectedHand(
            _plain(_box_around(keypoints[:, :2])),
            "right" if seen.right_logit > 0 else "left",
            1 / (1 + math.exp(-float(np.clip(seen.presence_logit, -100, 100)))),
            keypoints,
        )

    @cached_property
    def _compiled_palm_net(self) -> jax.stages.Compiled:
        model = build_palm_net(self._palm_config)
        return _compile_network(model, self._palm_variables, self._palm_config.image_size)

    @cached_property
    def _compiled_landmark_net(self) -> jax.stages.Compiled:
        model = build_landmark_net(self._landmark_config)
        return _compile_network(model, self._landmark_variables, self._landmark_config.image_size)


class MediaPipeDetector:
    """A `PhotoDetector` with MediaPipe's, which has to be running."""

    def __init__(self, hands: MediaPipeHands) -> None:
        self._hands = hands

    def __call__(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[DetectedHand]:
        """The hands of a photo, the surest first, in boxes around their keypoints."""
        height, width, _ = photo.shape
        found = []
        for hand in sorted(self._hands.all_hands(photo), key=lambda hand: -hand.score):
            corners = _box_around(hand.keypoints_2d)
            if _can_be_cropped(corners, width, height):
                found.append(DetectedHand(_plain(corners), hand.handedness, float(hand.score)))
        return found


def load_detector(
    name_or_path: str | os.PathLike = PALM, *, min_score: float | None = None
) -> PalmDetector | HeatMapDetector:
    """A detector that comes with the package, or that of a model file.

    Args:
      name_or_path: "palm", "heatmap", or a file that `i2uv train` made with a detector's config.
      min_score: hands that are less likely are left out; None stands for the detector's own.

    Raises:
      ValueError: the file is missing, broken or no detector; the message is one line.
    """
    if name_or_path == PALM:
        palms = load_model_file(shipped_file(PALM_NET), PalmNetConfig)
        landmarks = load_model_file(shipped_file(LANDMARK_NET), LandmarkNetConfig)
        lowest = MIN_LANDMARK_PRESENCE if min_score is None else min_score
        return PalmDetector(*palms[:2], *landmarks[:2], min_score=lowest)
    path = shipped_file(DETECTOR) if name_or_path == HEAT_MAP else name_or_path
    config, variables, _ = load_model_file(path, DetectorConfig)
    lowest = MIN_SCORE if min_score is None else min_score
    return HeatMapDetector(config, variables, min_score=lowest)


def find_in_box(
    detector: PhotoDetector, photo: UInt8[np.ndarray, "h w 3"], box_xyxy: Sequence[float]
) -> DetectedHand | None:
    """The hand that a detector finds in a box, looking at little more of the photo than that.

    None where it finds none there, or only others that happen to reach into the box.

    Raises:
      BoxError: the box does not fit the photo.
    """
    height, width, _ = photo.shape
    edges = crop_from_box(box_xyxy, width, height, margin=_BOX_ROOM).xyxy_px
    left, top, right, bottom = (
        int(np.clip(round(edge), 0, limit))
        for edge, limit in zip(edges, (width, height) * 2, strict=True)
    )
    offset = np.array([left, top])
    best, best_overlap = None, _SAME_HAND
    for hand in detector(photo[top:bottom, left:right]):
        box = np.array(hand.box_xyxy) + np.tile(offset, 2)
        overlap = intersection_over_union(box[None], np.array(box_xyxy)[None])[0, 0]
        if overlap >= best_overlap:
            keypoints = None if hand.keypoints is None else hand.keypoints + np.append(offset, 0)
            best = replace(hand, box_xyxy=_plain(box), keypoints=keypoints)
            best_overlap = overlap
    return best


def _compile_network(model: nn.Module, variables: dict, size: int) -> jax.stages.Compiled:
    """As `_compile_for_one`: a network's own answer."""

    def answer(variables: dict, pixels: UInt8[Array, "b s s 3"]) -> Any:
        return model.apply(variables, pixels.astype(jnp.float32) / 255, train=False)

    return _compile_for_one(answer, variables, size)


def _compile_for_one(find: Callable, variables: dict, size: int) -> jax.stages.Compiled:
    """A function of variables and (1, size, size, 3) bytes, ahead of time."""
    pixels = jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)
    return jax.jit(find).lower(variables, pixels).compile(compiler_options())


def _box_around(keypoints_2d: Float[np.ndarray, "21 2"]) -> Float[np.ndarray, "4"]:
    """Left, top, right and bottom of a hand, flesh included."""
    low, high = keypoints_2d.min(axis=0), keypoints_2d.max(axis=0)
    room = _FLESH / 2 * (high - low).max()
    return np.concatenate([low - room, high + room])


def _can_be_cropped(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a model can look at a box: a speck, or one outside the picture, is no hand."""
    try:
        crop_from_box(box, width, height)
    except BoxError:
        return False
    return True


def _plain(box: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom
