"""Which of a picture's hands is answered for, where a model has to find it."""

from types import SimpleNamespace

import numpy as np

from i2uv_jax.evaluate.photo_answers import AskedPhoto, found_boxes, given_boxes
from i2uv_jax.imaging.annotations import Annotation
from i2uv_jax.imaging.crop import crop_whole
from i2uv_jax.inference.detected_hand import DetectedHand


def predictor(pictures, *, handedness, box_xyxy, keypoints=None):
    """Puts all keypoints at the middle of the box."""
    assert keypoints is None or all(points is None for points in keypoints)
    answers = []
    for box, side in zip(box_xyxy, handedness, strict=True):
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        points = np.tile([*middle, 0], (21, 1))
        answers.append(
            SimpleNamespace(keypoints_2d=points[:, :2], keypoints_3d_mm=points, handedness=side)
        )
    return answers


predictor.takes_keypoints = False


def photo(box_xywh=None, hand="right"):
    annotation = Annotation(file="photo.png", box_xywh=box_xywh)
    return AskedPhoto(annotation, hand, np.zeros((100, 100, 3), np.uint8), crop_whole(100, 100))


HANDS = [
    DetectedHand((0, 0, 20, 20), None, 0.9),
    DetectedHand((60, 60, 80, 80), None, 0.6),
    DetectedHand((62, 62, 90, 90), None, 0.7),
]


def test_the_surest_hand_whose_middle_lies_in_the_box_counts():
    answer = found_boxes(predictor, lambda pixels: HANDS)
    photos = [
        photo((50, 50, 40, 40)),
        photo(),
        photo((30, 30, 10, 10)),
        photo((5, 5, 9, 9), "left"),
    ]
    there, surest, elsewhere, left = answer(photos)
    np.testing.assert_allclose(there.keypoints_2d[0], [76, 76])
    np.testing.assert_allclose(surest.keypoints_2d[0], [10, 10])
    assert elsewhere is None
    assert left.prediction.handedness == left.handedness == "left"


def test_the_detector_tells_the_side_where_nobody_else_does():
    found = [DetectedHand((0, 0, 20, 20), "left", 0.9)]
    sides = found_boxes(predictor, lambda pixels: found)([photo(hand=None), photo(hand="right")])
    assert [answer.handedness for answer in sides] == ["left", "right"]
    (untold,) = found_boxes(predictor, lambda pixels: HANDS)([photo(hand=None)])
    (given,) = given_boxes(predictor)([photo((10, 20, 30, 40), hand=None)])
    assert untold.handedness == given.handedness == "right"


def test_keypoints_count_only_for_the_side_that_was_seen():
    hand = DetectedHand((0, 0, 20, 20), "left", 0.9, np.ones((21, 3)))
    takes, takes_none = SimpleNamespace(takes_keypoints=True), predictor
    assert hand.for_model(takes)["keypoints"] is hand.keypoints
    assert hand.for_model(takes)["handedness"] == "left"
    assert hand.for_model(takes, "right")["keypoints"] is None
    assert hand.for_model(takes_none)["keypoints"] is None


def test_nothing_found_asks_the_model_nothing():
    def refuse(*arguments, **options):
        raise AssertionError

    assert found_boxes(refuse, lambda pixels: [])([photo(), photo()]) == [None, None]


def test_in_given_boxes_a_detector_tells_side_and_keypoints():
    keypoints = np.ones((21, 3))
    told = []

    def takes_keypoints(pictures, *, handedness, box_xyxy, keypoints):
        told.extend(zip(box_xyxy, handedness, keypoints, strict=True))
        return predictor(pictures, handedness=handedness, box_xyxy=box_xyxy)

    takes_keypoints.takes_keypoints = True
    found = iter([[DetectedHand((5, 5, 45, 45), "left", 0.9, keypoints)], []])
    answers = given_boxes(takes_keypoints, lambda pixels: next(found))(
        [photo((10, 20, 40, 40), hand=None), photo((10, 20, 40, 40), hand=None)]
    )
    assert [answer.handedness for answer in answers] == ["left", "right"]
    (first_box, _, first), (second_box, _, second) = told
    assert first_box == second_box == (10, 20, 50, 60)
    # The box with its room is 64 pixels square, from (-2, 8) on.
    np.testing.assert_array_equal(first, keypoints + np.array([0, 8, 0]))
    assert second is None


def test_given_boxes_are_the_annotations_own():
    (answer,) = given_boxes(predictor)([photo((10, 20, 30, 40))])
    np.testing.assert_allclose(answer.keypoints_2d[0], [25, 40])
