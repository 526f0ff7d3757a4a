"""Hands are put where the camera saw them, and carried over to another mesh on their surface."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.evaluate.answers import NOT_FINITE, answers_of_model, place_hand
from i2uv_jax.evaluate.mano_models import mano_hand, surface_map
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.subdivision import subdivide_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.mano import load_mano
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.inference.prediction import HandPrediction
from tests.mano_files import write_template

FOCAL, PRINCIPAL = 500.0, (110.0, 120.0)
HAND = 0.08 * np.random.default_rng(0).normal(size=(21, 3))
PLACE = np.array([0.05, -0.03, 0.6])


def seen(points):
    return FOCAL * points[:, :2] / points[:, 2:] + PRINCIPAL


def test_a_hand_of_known_size_is_put_where_it_is_seen():
    found = place_hand(HAND, seen(HAND + PLACE), FOCAL, PRINCIPAL)
    np.testing.assert_allclose(found, PLACE, atol=1e-9)


PHOTO = HandPhoto("a", Path("a"), FOCAL, PRINCIPAL)
PIXELS = np.zeros((20, 20, 3), np.uint8)


def prediction(points_mm, seen_px):
    """Of a hand whose vertices are its keypoints."""
    return HandPrediction(
        uv_map=np.zeros((2, 2, 3)), vertices_mm=points_mm, vertices_2d=seen_px,
        faces=np.zeros((0, 3), int), keypoints_3d_mm=points_mm, keypoints_2d=seen_px,
        crop_xyxy=np.zeros(4), handedness="right",
    )  # fmt: skip


def answered(**known):
    """What is made of a hand that a model saw right but for its size."""
    relative = 1000 * (HAND - HAND[0])
    seen_px = seen(HAND - HAND[0] + PLACE)
    hand = prediction(1.25 * relative, seen_px)
    sample = Sample("a", PHOTO, pixels=PIXELS, **known)
    (answer,) = answers_of_model(
        lambda pictures, **_: [hand], [sample], batch_size=1, to_mano=None, keypoint_regressor=None
    )
    return answer.keypoints


def test_a_known_bone_or_a_known_wrist_gives_the_hand_its_size_and_place():
    bone = np.linalg.norm(HAND[10] - HAND[9])
    for known in ({"bone_m": bone}, {"wrist": PLACE}):
        np.testing.assert_allclose(answered(**known), HAND - HAND[0] + PLACE, atol=1e-6)
    # Without either the hand keeps the size that was assumed, and is farther away.
    np.testing.assert_allclose(answered(), 1.25 * (HAND - HAND[0] + PLACE), atol=1e-6)


def test_a_detector_tells_the_keypoints_of_the_hand_in_the_box():
    told = []

    class Model:
        takes_keypoints = True

        def __call__(self, pictures, *, keypoints, **_):
            told.extend(keypoints)
            return [prediction(1000 * HAND, seen(HAND + PLACE))] * len(pictures)

    ours, others = np.full((21, 3), 3.0), np.full((21, 3), 9.0)

    def detector(photo):
        # The likelier one lies elsewhere.
        return [DetectedHand((9, 9, 14, 14), "right", 0.9, others),
                DetectedHand((1, 1, 8, 8), "right", 0.5, ours)]  # fmt: skip

    boxed = dataclasses.replace(PHOTO, box_xyxy=(0, 0, 10, 10))
    samples = [Sample(name, photo, pixels=PIXELS) for name, photo in (("a", boxed), ("b", PHOTO))]
    list(answers_of_model(Model(), samples, batch_size=2, to_mano=None, keypoint_regressor=None,
                          detector=detector))  # fmt: skip
    np.testing.assert_array_equal(told[0], ours)
    np.testing.assert_array_equal(told[1], others)


def test_a_prediction_that_is_not_finite_is_named_and_no_hand():
    sample = Sample("a", PHOTO, pixels=PIXELS)
    hand = prediction(np.where(np.arange(21)[:, None] == 4, np.nan, HAND), seen(HAND + PLACE))
    (answer,) = answers_of_model(
        lambda pictures, **_: [hand], [sample], batch_size=1, to_mano=None, keypoint_regressor=None
    )
    assert answer.problem == NOT_FINITE and answer.vertices is None


def test_points_on_a_hand_s_surface_are_carried_along():
    hand = load_hand()
    fine = subdivision_of(hand)
    surface = subdivide_vertices(fine, hand.template)
    # Another mesh on the same surface: the middles of some of its triangles.
    faces = fine.atlas.faces[::70]
    target = surface[faces].mean(axis=1)
    outwards = np.cross(*(np.diff(surface[faces], axis=1).swapaxes(0, 1)))
    found = surface_map(hand, hand.template, surface, target, outwards)
    assert found.error_mm == pytest.approx(0, abs=1e-3)
    moved = hand.template * np.float32([2, 1, 1]) + np.float32([0, 0, 1])
    expected = target * [2, 1, 1] + [0, 0, 1]
    np.testing.assert_allclose(found(moved), expected, atol=1e-5)


def test_mano_laid_out_on_an_atlas(tmp_path, mano_path):
    mano = load_mano(mano_path)
    atlas = Atlas.from_obj(write_template(tmp_path / "template.obj"))
    hand = mano_hand(mano, atlas)
    assert hand.keypoint_regressor.shape == (21, 778)
    assert hand.mean_bone_length_m > 0
    with pytest.raises(ValueError, match="of 1609 vertices, MANO has 778"):
        mano_hand(mano, load_hand().atlas)
