"""Hands that are on their way through the device, and what they become."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.prepared_hand import PreparedHand

Piece = tuple[int, dict[str, jax.Array]]
"""A batch that the device works on: how many of its rows count (the others fill it up), and the
program's outputs."""


class PendingPrediction:
    """Hands that are on their way through the device."""

    def __init__(
        self,
        rows: list[PreparedHand],
        num_sides: list[int],
        faces: Int[np.ndarray, "f 3"],
        dispatch: Callable[[list[PreparedHand]], list[Piece]],
        halve_pieces: Callable[[int, RuntimeError], None],
    ) -> None:
        """Sends the hands to the device.

        Args:
          rows: what the device is given.
          num_sides: how many rows stand for each hand: its side, or first right, then left.
          faces: of right hands' meshes.
          dispatch: gives rows to the device, in pieces.
          halve_pieces: makes the pieces smaller after one of a size failed, or raises its error.
        """
        self._rows = rows
        self._num_sides = num_sides
        self._faces = faces
        self._dispatch = dispatch
        self._halve_pieces = halve_pieces
        self._pieces = dispatch(rows)

    def result(self) -> HandPrediction:
        """Waits for the device; a batch, in the order the hands were given.

        Raises:
          RuntimeError: the device failed.
        """
        while True:
            try:
                parts = [(used, jax.device_get(outputs)) for used, outputs in self._pieces]
                break
            except RuntimeError as error:
                largest = max(len(outputs["uv_map"]) for _, outputs in self._pieces)
                self._halve_pieces(largest, error)
                self._pieces = self._dispatch(self._rows)
        found = {
            name: np.concatenate([outputs[name][:used] for used, outputs in parts])
            for name in parts[0][1]
        }
        logit = found.pop("presence_logit", None)
        kept = _likelier_rows(self._num_sides, logit)
        found = {name: values[kept] for name, values in found.items()}
        crops = [self._rows[row].crop for row in kept]
        is_left = np.array([self._rows[row].is_left for row in kept])

        def errors_mm(name: str) -> Float[np.ndarray, "b n"] | None:
            return found[name] * 1000 if name in found else None

        def to_pixels(points: Float[np.ndarray, "b n 2"]) -> Float[np.ndarray, "b n 2"]:
            pixels = [crop.to_pixels(p) for crop, p in zip(crops, points, strict=True)]
            return np.stack(pixels).astype(np.float32)

        return HandPrediction(
            uv_map=found["uv_map"],
            vertices_mm=found["vertices_m"] * 1000,
            vertices_2d=to_pixels(found["vertices_crop"]),
            faces=np.where(is_left[:, None, None], self._faces[:, ::-1], self._faces),
            keypoints_3d_mm=found["keypoints_m"] * 1000,
            keypoints_2d=to_pixels(found["keypoints_crop"]),
            crop_xyxy=np.array([crop.xyxy_px for crop in crops], np.float32),
            handedness=tuple("left" if left else "right" for left in is_left),
            presence=None if logit is None else _sigmoid(logit[kept]),
            vertex_error_mm=errors_mm("vertex_error_m"),
            keypoint_error_mm=errors_mm("keypoint_error_m"),
        )


def _likelier_rows(
    num_sides: Sequence[int], logit: Float[np.ndarray, " rows"] | None
) -> Int[np.ndarray, " hands"]:
    """The row to keep of each hand's one or two."""
    first = np.cumsum([0, *num_sides[:-1]])
    if logit is None:
        return first
    last = first + np.array(num_sides) - 1
    return np.where(logit[last] > logit[first], last, first)


def _sigmoid(logit: Float[np.ndarray, "b"]) -> Float[np.ndarray, "b"]:
    # Unlike 1 / (1 + exp(-x)) it overflows nowhere.
    return 0.5 + 0.5 * np.tanh(logit / 2)
