from importlib import resources

import numpy as np
import pytest

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.skeleton import JOINT_NAMES, KEYPOINT_JOINTS

# Buryanov and Kotiuk 2010, Proportions of Hand Segments (mm): metacarpal, phalanges outwards.
ANATOMY_MM = {
    "thumb": (46.2, 31.6, 21.7),
    "index": (68.1, 39.8, 22.4, 15.8),
    "middle": (64.6, 44.6, 26.3, 17.4),
    "ring": (58.0, 41.4, 25.7, 17.3),
    "little": (53.7, 32.7, 18.1, 16.0),
}
SOFT_TIP_MM = {"thumb": 3.67, "index": 3.84, "middle": 3.95, "ring": 3.95, "little": 3.73}


def test_asset_is_small_and_says_where_it_comes_from(hand):
    path = resources.files("i2uv_jax.hand") / "data" / "hand_right.npz"
    assert path.stat().st_size <= 2_000_000
    assert "CC0" in hand.metadata["provenance"]
    assert hand.metadata["licence"].startswith("Apache-2.0")


def test_sizes_and_closed_surface_with_the_forearm(hand):
    assert hand.template.shape == (1609, 3)
    assert hand.faces.shape == (3196, 3)
    assert hand.body_uv.shape == (len(hand.faces) + len(hand.forearm_faces), 3, 2)
    faces = np.concatenate([hand.faces, hand.forearm_faces])
    edges = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    directed = {tuple(edge) for edge in edges}
    assert len(directed) == len(edges)  # every triangle turns the same way round
    border = [edge for edge in directed if edge[::-1] not in directed]
    # The only opening left is at the elbow: the hand's 20-edge ring is closed by the forearm.
    assert all(vertex >= hand.num_vertices for edge in border for vertex in edge)
    assert 8 <= len(border) <= 40


def test_bone_length_proportions_are_anatomical(hand):
    """Each bone within 10 % of the published proportions, at one scale for the whole hand."""
    joints, tips = hand.mean_joints * 1e3, hand.mean_tips * 1e3
    lengths, anatomy, soft = [], [], []
    for number, finger in enumerate(FINGER_NAMES):
        names = ("cmc", "mcp", "ip") if finger == "thumb" else ("cmc", "mcp", "pip", "dip")
        chain = [joints[JOINT_NAMES.index(f"{finger}_{name}")] for name in names]
        chain.append(tips[number])
        lengths += list(np.linalg.norm(np.diff(chain, axis=0), axis=1))
        anatomy += ANATOMY_MM[finger]
        soft += [0.0] * (len(names) - 1) + [SOFT_TIP_MM[finger]]
    lengths, anatomy, soft = np.array(lengths), np.array(anatomy), np.array(soft)
    # The mesh ends at the skin, the bones before it: take off the flesh at the hand's own scale.
    scale = np.sum(lengths) / np.sum(anatomy + soft)
    deviation = (lengths - soft * scale) / (anatomy * scale) - 1
    assert np.abs(deviation).max() < 0.10, deviation.round(3)


def test_weights_and_regressors_are_proper(hand):
    for matrix in (hand.skin_weights, hand.joint_regressor, hand.keypoint_regressor):
        assert (matrix >= 0).all()
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    assert (hand.skin_weights > 0).sum(1).max() <= 4
    assert (hand.keypoint_regressor > 0).sum(1).max() <= 32


def test_keypoints_follow_the_joint_centres(samples):
    """Millimetres between regressed keypoints and the joints of forward kinematics."""
    _, _, posed = samples
    pairs = [(keypoint, joint) for keypoint, joint in enumerate(KEYPOINT_JOINTS) if joint >= 0]
    keypoints, joints = np.array(pairs).T
    error_mm = 1e3 * np.linalg.norm(
        posed.keypoints[:, keypoints] - posed.joints[:, joints], axis=-1
    )
    assert error_mm.mean() < 0.5, error_mm.mean()
    assert error_mm.max() < 5, error_mm.max()


def test_atlas_fills_its_square_without_flips(hand):
    uv = hand.atlas.uv
    np.testing.assert_allclose(uv.min(0), 0.02, atol=0.006)
    np.testing.assert_allclose(uv.max(0), 0.98, atol=0.006)
    a, b, c = np.moveaxis(uv[hand.faces_uv], 1, 0)
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (np.sign(areas) == np.sign(areas[0])).all()
    assert np.abs(areas.sum()) > 0.7  # MakeHuman's own chart covers 0.36
    assert hand.atlas is load_hand().atlas  # one object, so that it can key a cache


def test_foreign_file_is_refused_by_name(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, something=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz: not a readable hand asset"):
        load_hand(path)
