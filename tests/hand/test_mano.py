"""The user's MANO file: read without running it, and posed as an independent formulation does."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.mano import TIP_VERTICES, load_mano, pose_mano
from tests.mano_files import PARENTS, mano_arrays, old_pickle, write_mano, write_template

POSED = jax.jit(jax.vmap(pose_mano, (None, 0, 0)))


@pytest.fixture(scope="module")
def mano(tmp_path_factory):
    return load_mano(write_mano(tmp_path_factory.mktemp("mano") / "MANO_RIGHT.pkl"))


def test_the_file_s_arrays_come_back(mano):
    arrays = mano_arrays()
    for ours, key in (
        (mano.template, "v_template"), (mano.shape_directions, "shapedirs"),
        (mano.pose_directions, "posedirs"), (mano.skin_weights, "weights"),
        (mano.mean_pose, "hands_mean"), (mano.faces, "f"),
    ):  # fmt: skip
        np.testing.assert_allclose(ours, arrays[key], rtol=1e-6, err_msg=key)
    np.testing.assert_allclose(mano.joint_regressor, arrays["J_regressor"].toarray(), rtol=1e-6)
    assert mano.parents == PARENTS


def posed_with_homogeneous_matrices(arrays, pose, betas):
    """MANO in double precision, by 4 x 4 matrices from joint to joint."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas
    joints = arrays["J_regressor"].toarray() @ shaped
    turns = Rotation.from_rotvec(pose.reshape(16, 3)).as_matrix()
    corrected = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    world = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    homogeneous = np.concatenate([corrected, np.ones((len(corrected), 1))], axis=1)
    vertices = np.zeros_like(corrected)
    for joint, matrix in enumerate(world):
        back = np.eye(4)
        back[:3, 3] = -joints[joint]
        moved = homogeneous @ (matrix @ back).T
        vertices += arrays["weights"][:, joint, None] * moved[:, :3]
    return vertices, np.array([matrix[:3, 3] for matrix in world])


def test_posed_hands_equal_an_independent_formulation(mano):
    rng = np.random.default_rng(1)
    poses, betas = 0.8 * rng.standard_normal((3, 48)), rng.standard_normal((3, 10))
    poses[0] = 0  # no turn has no axis
    vertices, keypoints = POSED(mano, poses, betas)
    # Joints in MANO's order: wrist, index, middle, little, ring, thumb.
    places = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
    for index in range(3):
        expected, joints = posed_with_homogeneous_matrices(
            mano_arrays(), poses[index], betas[index]
        )
        np.testing.assert_allclose(vertices[index], expected, atol=2e-6)
        np.testing.assert_allclose(keypoints[index][np.array(places)], joints, atol=2e-6)
        tips = expected[list(TIP_VERTICES)]
        np.testing.assert_allclose(keypoints[index][4::4], tips, atol=2e-6)


def test_keypoint_regressor_gives_the_joints_of_the_hand_at_rest(mano):
    vertices, keypoints = (a[0] for a in POSED(mano, np.zeros((3, 48)), np.zeros((3, 10))))
    rest = mano_arrays()["v_template"]
    np.testing.assert_allclose(mano.keypoint_regressor.sum(1), 1, atol=1e-5)
    # Pose directions vanish at rest, so there the two definitions agree.
    np.testing.assert_allclose(mano.keypoint_regressor @ rest, keypoints, atol=1e-6)
    np.testing.assert_allclose(vertices, rest, atol=1e-6)


def test_user_s_template_gives_the_atlas(mano, tmp_path):
    atlas = Atlas.from_obj(write_template(tmp_path / "template.obj"))
    assert atlas.num_vertices == len(mano.template)
    np.testing.assert_array_equal(atlas.faces, mano.faces)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.zeros((778, 15))}, r"skin_weights: expected shape \(778, 16\), got"),
        ({"J_regressor": None}, "no MANO model"),
        ({"kintree_table": np.zeros((2, 16), np.uint32)[:, :5]}, "no MANO model of a hand"),
        ({"f": np.full((4, 3), 900, np.uint32)}, "faces that do not fit"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, changes, message):
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(old_pickle({**mano_arrays(), **changes}))
    with pytest.raises(ValueError, match=rf"MANO_RIGHT\.pkl: .*{message}"):
        load_mano(path)
    path.write_bytes(old_pickle([1, 2]))
    with pytest.raises(ValueError, match=r"MANO_RIGHT\.pkl: no MANO model \(TypeError"):
        load_mano(path)
