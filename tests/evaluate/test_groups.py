"""What scores are split by: hands drawn with a ruler fall into the group one sees at once."""

import dataclasses

import numpy as np
import pytest
import trimesh

from i2uv_jax.evaluate import visibility
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.summary import sample_groups


def hand(bend=0.0, turn=0.0):
    """A right hand, 0.5 m away, metres: a palm of 80 mm, bones of 30 mm.

    Args:
      bend: of each finger's two upper joints, in degrees, towards the camera.
      turn: about the forearm, in degrees; at 0 the camera sees the palm, thumb to the right.
    """
    points = np.zeros((21, 3), np.float32)
    for finger in range(5):
        place = np.array([0.04 - 0.02 * finger, -0.08, 0.0])
        for joint in range(4):
            points[1 + 4 * finger + joint] = place
            angle = np.radians(bend * joint)
            place = place + 0.03 * np.array([0, -np.cos(angle), -np.sin(angle)])
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return points @ np.float32([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) + np.float32([0, 0, 0.5])


# Reach over length of three bones in a plane, each turned by the same angle from the one before:
# |1 + e^(ia) + e^(2ia)| / 3 = (1 + 2 cos a) / 3, which is 1, 0.82 and 1/3.
@pytest.mark.parametrize(
    ("bend", "group"), [(0, "straight fingers"), (43, "half bent"), (90, "bent")]
)
def test_pose_groups_follow_how_far_the_fingers_reach(bend, group):
    assert visibility.pose_group(hand(bend=bend)) == group


# Edges begin where the palm's normal is 60 degrees off the line of sight.
@pytest.mark.parametrize(
    ("turn", "group"), [(0, "palm"), (50, "palm"), (80, "edge"), (-80, "edge"), (180, "back")]
)
def test_view_groups_are_the_side_of_the_palm_that_is_seen(turn, group):
    assert visibility.view_group(hand(turn=turn), is_left=False) == group
    # The mirror image is a left hand that shows the same side.
    mirrored = hand(turn=turn) * np.float32([-1, 1, 1])
    assert visibility.view_group(mirrored, is_left=True) == group


@pytest.fixture(scope="module")
def box():
    """A box 100 mm wide and high and 20 mm deep, half a metre away."""
    mesh = trimesh.creation.box((0.1, 0.1, 0.02))
    return mesh.vertices + np.array([0, 0, 0.51]), np.asarray(mesh.faces)


def test_keypoints_behind_another_part_of_the_hand_are_hidden(box):
    vertices, faces = box
    inside, behind, beside = [0.02, 0.01, 0.515], [0.02, 0.01, 0.56], [0.09, 0, 0.56]
    for points, share in (
        ([inside], 1), ([behind], 0), ([beside], 1), ([inside, inside, behind, beside], 0.75),
    ):  # fmt: skip
        for turned in (faces, faces[:, ::-1]):
            found = visibility.keypoints_in_sight(np.float32(points), vertices, turned)
            assert found == share
    # What lies behind the camera hides nothing.
    assert visibility.keypoints_in_sight(np.float32([behind]), -vertices, faces) == 1


def test_what_stands_before_the_hand_hides_it(box):
    vertices, faces = box
    # The box's side that faces the camera, finely divided: only its vertices are looked up.
    vertices, faces = trimesh.remesh.subdivide_loop(vertices, faces, iterations=5)
    depth = np.full((200, 200), 0.6)
    view = {"focal_px": 500.0, "principal_px": (100.0, 100.0)}
    assert visibility.visible_share(vertices, faces, depth, **view) == 1
    depth[:, :100] = 0.3
    half = visibility.visible_share(vertices, faces, depth, **view)
    assert half == pytest.approx(0.5, abs=0.03)
    # Where the sensor saw nothing nothing is known.
    depth[:, :100] = 0
    assert visibility.visible_share(vertices, faces, depth, **view) == 1
    assert visibility.visible_share(vertices, faces, 0 * depth, **view) is None


def test_thirds_of_what_is_seen_of_tones_and_of_ages():
    assert [visibility.share_group(share) for share in (0.0, 0.3, 0.4, 0.7, 1.0)] == [
        "up to a third visible", "up to a third visible", "up to two thirds visible",
        "more visible", "more visible",
    ]  # fmt: skip
    assert [visibility.tone_group(tone) for tone in (1, 3, 4, 6, 7, 10)] == [
        "Monk 1 to 3", "Monk 1 to 3", "Monk 4 to 6", "Monk 4 to 6", "Monk 7 to 10", "Monk 7 to 10",
    ]  # fmt: skip
    # MakeHuman's 2/3 is a person of 25, 5/6 one halfway to 90.
    assert [visibility.age_group(age) for age in (0.5, 0.66, 0.7, 0.83, 0.9)] == [
        "up to 25 years", "up to 25 years", "25 to 57 years", "25 to 57 years", "older",
    ]  # fmt: skip


def test_a_sample_of_which_all_is_known_is_in_a_group_of_every_kind():
    known = Sample("a", None, hand(), visible_share=0.5, monk_tone=2, fill=0.6, age=0.9)
    unknown = dataclasses.replace(Sample("b", None), keypoints=np.full((21, 3), np.nan))
    groups = sample_groups([known, unknown])
    assert {title: list(own) for title, own in groups.items()} == {
        "visible share": ["up to two thirds visible"],
        "view": ["palm"],
        "pose": ["straight fingers"],
        "size": ["up to three quarters"],
        "skin tone": ["Monk 1 to 3"],
        "age": ["older"],
    }
    for own in groups.values():
        for mask in own.values():
            assert mask.tolist() == [True, False]
