"""Hands of photos by a network of ours, which draws a heat map of their centres."""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from i2uv_jax.config import DetectorConfig
from i2uv_jax.detection.boxes import MIN_SCORE, pick_boxes
from i2uv_jax.detection.peaks import Peaks, find_peaks
from i2uv_jax.imaging.crop import can_be_cropped, crop_whole, extract
from i2uv_jax.inference.arguments import as_picture
from i2uv_jax.inference.detected_hand import DetectedHand, plain_box
from i2uv_jax.inference.one_picture import compile_for_one_picture
from i2uv_jax.inference.prediction import Handedness
from i2uv_jax.models.detector import build_detector
from i2uv_jax.models.folding import fold_batch_norm, folded_norms


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
            if can_be_cropped(corners, width, height):
                side: Handedness = "left" if is_left else "right"
                hands.append(DetectedHand(plain_box(corners), side, float(score)))
        return hands

    @cached_property
    def _compiled(self) -> jax.stages.Compiled:
        model = build_detector(self.config)

        def find(variables: dict, pixels: UInt8[Array, "b s s 3"]) -> Peaks:
            with folded_norms():
                output = model.apply(variables, pixels.astype(jnp.float32) / 255, train=False)
            return find_peaks(output)

        return compile_for_one_picture(find, self._variables, self.config.image_size)
