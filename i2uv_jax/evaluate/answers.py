"""What a model or a file answers to a benchmark's samples: metres in the camera's frame."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.evaluate.sample import Sample, unknown
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.imaging.crop import BoxError, crop_from_box
from i2uv_jax.imaging.read import ImageError
from i2uv_jax.inference.detected_hand import PhotoDetector
from i2uv_jax.inference.hand_in_box import find_in_box
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.inference.tracking import HandSmoother

_MIDDLE_BONE = (9, 10)
"""The middle finger's first bone: the length that FreiHAND tells."""

NOT_FINITE = "prediction: not all numbers are finite"
"""Problem of a model's answer that holds NaN or infinity."""


@dataclass(frozen=True)
class Answer:
    """One hand, or why there is none. Metres; x right, y down, z away from the camera."""

    keypoints: Float[np.ndarray, "21 3"]
    """NaN without a hand."""
    vertices: Float[np.ndarray, "v 3"] | None = None
    """None where only keypoints were predicted, or without a hand."""
    problem: str | None = None


def no_answer(problem: str) -> Answer:
    """Of a sample that got no hand."""
    return Answer(unknown(NUM_KEYPOINTS), problem=problem)


def answers_of_model(
    predictor: Predictor,
    samples: Sequence[Sample],
    *,
    batch_size: int,
    to_mano: Callable[[np.ndarray], np.ndarray] | None,
    keypoint_regressor: Float[np.ndarray, "21 n"] | None,
    detector: PhotoDetector | None = None,
    smoothed_at: float | None = None,
) -> Iterator[Answer]:
    """One answer a sample, in their order.

    The camera is used as the challenges allow, and the bone's length or the wrist's place where the
    sample tells it; otherwise hands have the mean hand's size.

    Args:
      to_mano: from the model's vertices to MANO's; None leaves them.
      keypoint_regressor: keypoints from the vertices after that; None takes the model's own.
      detector: tells a model that takes keypoints those that it finds of the sample's hand; None
        tells none.
      smoothed_at: frames per second of sequences whose hands are smoothed over time, as `i2uv
        track` does; None takes each as it is.
    """
    smoother = HandSmoother()
    tracks: dict[str, int] = {}
    for first in range(0, len(samples), batch_size):
        batch = samples[first : first + batch_size]
        photos, problems = [], []
        for sample in batch:
            photo, problem = _read(sample)
            photos.append(photo)
            problems.append(problem)
        usable = [i for i, problem in enumerate(problems) if problem is None]
        hands: dict[int, HandPrediction] = {}
        if usable:
            told = {}
            if detector is not None and predictor.takes_keypoints:
                told["keypoints"] = [
                    _told(predictor, detector, photos[i], batch[i]) for i in usable
                ]
            found = predictor(
                [photos[i] for i in usable],
                **told,
                handedness=["left" if batch[i].is_left else "right" for i in usable],
                box_xyxy=[batch[i].photo.box_xyxy for i in usable],
                camera=np.stack([camera_matrix(batch[i]) for i in usable]),
            )
            hands = {place: found[i] for i, place in enumerate(usable)}
        if smoothed_at is not None:
            for index, hand in hands.items():
                if batch[index].frame_of is not None:
                    sequence, number = batch[index].frame_of
                    track = tracks.setdefault(sequence, len(tracks))
                    hands[index] = smoother(number / smoothed_at, track, hand)
        for index, (sample, problem) in enumerate(zip(batch, problems, strict=True)):
            if problem is not None:
                yield no_answer(problem)
            else:
                yield _answer(sample, hands[index], to_mano, keypoint_regressor)


def _told(
    predictor: Predictor,
    detector: PhotoDetector,
    photo: UInt8[np.ndarray, "h w 3"],
    sample: Sample,
) -> Float[np.ndarray, "21 3"] | None:
    """Keypoints of the hand in the sample's box or, of the whole picture, of the likeliest; None
    where it is taken for one of the other side."""
    found = find_in_box(detector, photo, sample.photo.box_xyxy)
    if found is None:
        return None
    return found.for_model(predictor, "left" if sample.is_left else "right")["keypoints"]


def place_hand(
    points: Float[np.ndarray, "n 3"],
    place_px: Float[np.ndarray, "n 2"],
    focal_px: float,
    principal_px: tuple[float, float],
) -> Float[np.ndarray, "3"]:
    """Translation after which points project nearest to `place_px`.

    Each point gives two equations that are linear in the translation, x and y alike:
    f (x + t_x) = (u - p_x) (z + t_z); solved by least squares.
    """
    ray = (place_px - np.asarray(principal_px)) / focal_px
    count = len(points)
    system = np.zeros((2, count, 3))
    system[0, :, 0] = system[1, :, 1] = 1
    system[..., 2] = -ray.T
    sides = (ray * points[:, 2:] - points[:, :2]).T
    return np.linalg.lstsq(system.reshape(-1, 3), sides.ravel(), rcond=None)[0]


def place_prediction(sample: Sample, hand: HandPrediction) -> tuple[float, Float[np.ndarray, "3"]]:
    """What a prediction's points, in metres, are multiplied by, and then the place of the wrist
    (metres, camera frame), from what the sample tells of the camera, the bone or the wrist."""
    vertices = hand.vertices_mm.astype(np.float64) / 1000
    photo = sample.photo
    shift = place_hand(vertices, hand.vertices_2d, photo.focal_px, photo.principal_px)
    if sample.wrist is not None:
        # A hand seen at one place is as large as it is far away.
        scale = sample.wrist[2] / shift[2] if shift[2] > 0 else 1.0
        return scale, np.asarray(sample.wrist, np.float64)
    first, second = hand.keypoints_3d_mm[list(_MIDDLE_BONE)].astype(np.float64) / 1000
    bone = np.linalg.norm(second - first)
    scale = sample.bone_m / bone if sample.bone_m is not None and bone > 0 else 1.0
    return scale, scale * shift


def _read(sample: Sample) -> tuple[np.ndarray | None, str | None]:
    try:
        picture = sample.picture()
        if sample.photo.box_xyxy is not None:
            height, width, _ = picture.shape
            crop_from_box(sample.photo.box_xyxy, width, height)
    except (ImageError, BoxError) as error:
        return None, str(error)
    return picture, None


def camera_matrix(sample: Sample) -> Float[np.ndarray, "3 3"]:
    """The picture's intrinsics as `Predictor` takes them."""
    photo = sample.photo
    return np.array(
        [
            [photo.focal_px, 0, photo.principal_px[0]],
            [0, photo.focal_px, photo.principal_px[1]],
            [0, 0, 1],
        ]
    )


def _answer(sample, hand, to_mano, keypoint_regressor) -> Answer:
    vertices = hand.vertices_mm.astype(np.float64) / 1000
    keypoints = hand.keypoints_3d_mm.astype(np.float64) / 1000
    if not (np.isfinite(vertices).all() and np.isfinite(keypoints).all()):
        return no_answer(NOT_FINITE)
    scale, shift = place_prediction(sample, hand)
    vertices = scale * vertices + shift
    keypoints = scale * keypoints + shift
    if to_mano is not None:
        vertices = to_mano(vertices)
    if keypoint_regressor is not None:
        keypoints = keypoint_regressor @ vertices
    return Answer(keypoints.astype(np.float32), vertices.astype(np.float32))
