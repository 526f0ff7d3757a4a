"""One hand of a picture, and the numbers that files tell of it."""

from dataclasses import dataclass, replace

import numpy as np

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.hand.rig import Rig, rig_of
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.inference.prediction import HandPrediction


@dataclass(frozen=True)
class PhotoHand:
    """One hand of a photo, as it is written."""

    prediction: HandPrediction
    box_xyxy: tuple[float, float, float, float] | None
    """As it was found or given; None stands for the whole picture."""
    score: float | None = None
    """The detector's; None where nothing was detected."""
    rig: Rig | None = None
    """With it the mesh is written on a skeleton, and the joints' rotations beside the keypoints."""

    def rigged(self) -> "PhotoHand":
        """The same with a rig."""
        is_left = self.prediction.handedness == "left"
        return replace(self, rig=rig_of(self.prediction.vertices_mm, is_left=is_left))

    @property
    def scores(self) -> dict[str, float | None]:
        """ "score" from 0 to 1, and of models that tell it "presence".

        The score is the detector's, times the presence where there is one; the presence alone where
        nothing was detected, and None with neither.
        """
        presence = self.prediction.presence
        if presence is None:
            return {"score": None if self.score is None else round(self.score, 4)}
        score = float(presence) * (1.0 if self.score is None else self.score)
        return {"score": round(score, 4), "presence": round(float(presence), 4)}

    @property
    def keypoint_scores(self) -> dict[str, list[float]]:
        """Of models that tell, "keypoint_error_mm" and "keypoint_score" of the 21 keypoints as
        `HandPrediction` has them."""
        if self.prediction.keypoint_error_mm is None:
            return {}
        names = ("keypoint_error_mm", "keypoint_score")
        return {name: _rounded(getattr(self.prediction, name)) for name in names}


def names_of_points(*, is_rigged: bool) -> dict[str, list[str]]:
    """In which order `hand_numbers` tells keypoints and, of rigged hands, joints."""
    names = {"keypoint_names": list(KEYPOINT_NAMES)}
    return names | ({"joint_names": list(JOINT_NAMES)} if is_rigged else {})


def hand_numbers(hand: PhotoHand, width: int, height: int) -> dict:
    """What JSON files tell of a hand: its side, scores, box and keypoints."""
    return {
        "handedness": hand.prediction.handedness,
        **hand.scores,
        "box_xyxy": _rounded(hand.box_xyxy or (0, 0, width, height)),
        "keypoints_2d": _rounded(hand.prediction.keypoints_2d),
        "keypoints_3d": _rounded(hand.prediction.keypoints_3d_mm),
        **hand.keypoint_scores,
        **(
            {} if hand.rig is None else {"joint_rotations": _rounded(hand.rig.joint_quaternions, 5)}
        ),
    }


def _rounded(values, decimals: int = 3) -> list:
    """Nested lists; by default of micrometres, or thousandths of a pixel."""
    return np.round(np.asarray(values, np.float64), decimals).tolist()
