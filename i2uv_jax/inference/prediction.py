"""What a prediction holds."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.imaging.crop import SquareCrop

Handedness = Literal["left", "right"]
AskedHandedness = Literal["left", "right", "auto"]
"""Which hand a predictor is to look for; "auto" lets a model that tells presence decide."""

MIN_PRESENCE = 0.2
"""Crops of a lower `HandPrediction.presence` are taken for no hands where `i2uv predict` lets the
model decide (`--hand auto`)."""

KEYPOINT_SCORE_MM = 20.0
"""The expected error of a keypoint at which its score is 1 / e; about a finger's width."""


@dataclass(frozen=True)
class HandPrediction:
    """Reconstructed hands, as NumPy arrays.

    For one picture the fields have no leading dimension, for a batch they have one (`*b`), and
    `prediction[i]` is the hand of picture i.

    2D points are pixels of the original picture, edge to edge: the centre of the top left pixel is
    (0.5, 0.5). 3D points have x right, y down, z away from the camera, in millimetres relative to
    the wrist keypoint. A picture cannot tell a hand's size: the scale is chosen such that the 20
    bones together are as long as those of the mean hand (`Hand.mean_bone_length_m`). Without a
    camera the 3D points are moreover weak perspective: as if seen from far away.
    """

    uv_map: Float[np.ndarray, "*b m m 3"]
    """UV position map: x and y in crop coordinates (0 to 1 over the square `crop_xyxy`), z the
    depth relative to the wrist in crop sides."""
    vertices_mm: Float[np.ndarray, "*b v 3"]
    vertices_2d: Float[np.ndarray, "*b v 2"]
    faces: Int[np.ndarray, "*b f 3"]
    """Vertex indices, counter-clockwise seen from outside (so a left hand's are reversed)."""
    keypoints_3d_mm: Float[np.ndarray, "*b 21 3"]
    """Wrist, then thumb, index, middle, ring, little, each from the palm to the tip."""
    keypoints_2d: Float[np.ndarray, "*b 21 2"]
    crop_xyxy: Float[np.ndarray, "*b 4"]
    """Edges of the square that the model saw, in pixels of the original picture."""
    handedness: Handedness | tuple[Handedness, ...]
    """As it was given, or told by the model: one value for one picture, a tuple for a batch."""
    presence: Float[np.ndarray, "*b"] | None = None
    """How likely the crop shows a hand of this side, 0 to 1, where either is as common as anything
    else; None of models that do not tell (`AffineNetConfig.presence`)."""
    vertex_error_mm: Float[np.ndarray, "*b v"] | None = None
    """How far from the truth the model expects each vertex: in the crop and in depth relative to
    the wrist, without any alignment, at the scale of `vertices_mm`. So errors of the hand's place
    in the crop count, and that the scale is assumed does not. The model learned it on rendered
    hands (`models.confidence`), where it errs less than on photos. None of models that do not tell
    (`AffineNetConfig.confidence`)."""
    keypoint_error_mm: Float[np.ndarray, "*b 21"] | None = None
    """The same of the keypoints: the means of their vertices' errors."""

    @property
    def keypoint_score(self) -> Float[np.ndarray, "*b 21"] | None:
        """exp(-keypoint_error_mm / 20 mm): 1 where no error is expected, 0.37 where 20 mm are."""
        error_mm = self.keypoint_error_mm
        return None if error_mm is None else np.exp(-error_mm / KEYPOINT_SCORE_MM)

    @property
    def crop(self) -> SquareCrop:
        """The square that the model saw, of the hand of one picture."""
        left, top, right, bottom = (float(edge) for edge in self.crop_xyxy)
        return SquareCrop(((left + right) / 2, (top + bottom) / 2), right - left)

    @property
    def is_batch(self) -> bool:
        return self.crop_xyxy.ndim == 2

    def __len__(self) -> int:
        """Number of hands in a batch."""
        if not self.is_batch:
            raise TypeError("a prediction of one picture has no length")
        return len(self.crop_xyxy)

    def __getitem__(self, index: int) -> "HandPrediction":
        """The hand of one picture of a batch."""
        if not self.is_batch:
            raise TypeError("a prediction of one picture cannot be indexed")
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return HandPrediction(
            **{name: None if value is None else value[index] for name, value in values.items()}
        )
