"""Hands of frames that follow each other, as one that moves."""

import numpy as np

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.rig import Rig
from i2uv_jax.viewing.track_motions import MovingHand, TrackMotions

TEXTURE = np.zeros((2, 2, 3), np.uint8)


def moving_hand(track, depth_mm, *, is_left=False, thickness=0.0):
    num_vertices = load_hand().num_vertices
    rig = Rig(
        np.full((num_vertices, 3), thickness),
        np.zeros((20, 3)),
        np.tile(np.eye(3), (20, 1, 1)),
        np.zeros(3),
    )
    return MovingHand(track, is_left, rig, np.array([0.0, 0.0, depth_mm]), TEXTURE)


def test_hands_are_seen_when_they_were_and_have_their_mean_shape():
    motions = TrackMotions()
    motions.add_frame(10.0, [moving_hand(1, 500.0, thickness=2.0)])
    motions.add_frame(10.5, [moving_hand(1, 510.0, thickness=4.0)])
    motions.add_frame(11.0, [])
    motions.add_frame(11.5, [])
    motions.add_frame(12.0, [moving_hand(2, 300.0), moving_hand(1, 520.0, thickness=9.0)])
    first, second = motions.scene()
    assert (first.name, second.name) == ("track_1", "track_2")
    np.testing.assert_allclose(first.rig.rest_vertices, 5.0)
    np.testing.assert_allclose(first.motion.seconds, [0, 0.5, 1.0, 2.0])
    assert first.motion.is_seen.tolist() == [True, True, False, True]
    np.testing.assert_allclose(first.motion.wrists_mm[:, 2], [500, 510, 510, 520])
    np.testing.assert_allclose(second.motion.seconds, [0, 2.0])
    assert second.motion.is_seen.tolist() == [False, True]


def test_a_track_whose_side_changes_is_two_hands():
    motions = TrackMotions()
    motions.add_frame(0.0, [moving_hand(1, 500.0)])
    motions.add_frame(0.1, [moving_hand(1, 500.0, is_left=True)])
    names = {hand.name: hand.is_left for hand in motions.scene()}
    assert names == {"track_1_right": False, "track_1_left": True}


def test_without_hands_there_is_nothing_to_see():
    motions = TrackMotions()
    motions.add_frame(0.0, [])
    assert motions.scene() == []
