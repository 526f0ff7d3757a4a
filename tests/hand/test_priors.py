import jax
import numpy as np

from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES
from i2uv_jax.hand.mean_hand import mean_vertices
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.hand.pose_prior import (
    ANGLE_LIMITS,
    finger_overlap_mm,
    joint_rotations_from_angles,
    sample_angles,
)
from i2uv_jax.hand.self_contact import crosses, penetration_mm, segment_distance
from i2uv_jax.hand.shape_prior import HAND_LENGTH_RANGE_M, MEAN_SHAPE, hand_length
from i2uv_jax.hand.skeleton import JOINT_NAMES


def _room_before_the_palm(angles):
    """How much farther a thumb is abducted than one that lies against the palm."""
    thumb = JOINT_NAMES.index("thumb_cmc")
    least = ANGLE_LIMITS[thumb, 1, 0] + np.maximum(angles[:, thumb, 0], 0)
    return angles[:, thumb, 1] - least


def test_sampled_angles_obey_their_limits():
    angles = jax.jit(jax.vmap(sample_angles))(jax.random.split(jax.random.key(0), 500))
    assert (angles >= ANGLE_LIMITS[..., 0] - 1e-6).all()
    assert (angles <= ANGLE_LIMITS[..., 1] + 1e-6).all()
    # The thumb crosses the palm before it, not through it.
    assert (_room_before_the_palm(angles) >= -1e-5).all()
    # They use the room, too: index MCP and PIP from stretched to bent.
    for name, least, most in (("index_mcp", 0, 65), ("index_pip", 5, 85)):
        flexion = np.rad2deg(angles[:, JOINT_NAMES.index(name), 0])
        assert flexion.min() < least
        assert flexion.max() > most


def test_named_poses_obey_limits_and_do_not_cross(hand):
    angles = np.stack(list(NAMED_POSES.values())).astype(np.float32)
    assert (angles >= ANGLE_LIMITS[..., 0] - 1e-6).all()
    assert (angles <= ANGLE_LIMITS[..., 1] + 1e-6).all()
    assert (_room_before_the_palm(angles) >= 0).all()
    rotations = jax.vmap(joint_rotations_from_angles, (None, 0))(hand, angles)
    overlap = jax.jit(jax.vmap(lambda one: finger_overlap_mm(hand, one)))(rotations)
    assert max(overlap) < 3, list(NAMED_POSES)[int(np.argmax(overlap))]


def test_flexion_bends_towards_the_palm(hand):
    angles = np.zeros((len(JOINT_NAMES), 3), np.float32)
    joint = JOINT_NAMES.index("index_mcp")
    angles[joint, 0] = np.pi / 2
    rotations = joint_rotations_from_angles(hand, angles)
    np.testing.assert_allclose(
        rotations[joint] @ hand.bone_directions[joint], hand.palmar_normals[joint], atol=1e-6
    )
    assert hand.palmar_normals[joint, 2] > 0.9
    angles[joint] = (0, 0.2, 0)
    moved = joint_rotations_from_angles(hand, angles)[joint] @ hand.bone_directions[joint]
    assert moved[0] > hand.bone_directions[joint, 0] + 0.1  # abduction: towards the thumb


def test_sampled_poses_are_rotations(samples):
    _, poses, _ = samples
    for rotations in (poses.joint_rotations, poses.forearm_rotation):
        product = rotations @ np.swapaxes(rotations, -1, -2)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-5)
        np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)


def test_fingers_do_not_cross_in_the_bulk_of_samples(hand, samples):
    """Capsules around the bones of each sampled hand, its own shape included."""
    _, _, posed = samples
    tips = posed.keypoints[:, 4::4]
    palm_m = np.linalg.norm(posed.joints[:, JOINT_NAMES.index("middle_mcp")], axis=-1)
    scale = palm_m / float(hand.mean_palm_length_m)
    depth_mm = jax.vmap(penetration_mm)(posed.joints, tips, scale)
    assert np.mean(crosses(depth_mm, 3.0)) < 0.05


def test_segment_distance_by_hand():
    zero, x, y, z = np.zeros((1, 3)), *(np.eye(3)[i][None] for i in range(3))
    # Crossing at right angles, two units apart; end to end, one apart; parallel, one apart.
    np.testing.assert_allclose(segment_distance(-x, x, 2 * z - y, 2 * z + y), 2, atol=1e-4)
    np.testing.assert_allclose(segment_distance(zero, x, 2 * x, 3 * x), 1, atol=1e-4)
    np.testing.assert_allclose(segment_distance(zero, x, y, x + y), 1, atol=1e-4)


def test_shapes_cover_adult_and_adolescent_hands(hand, samples):
    shapes, _, _ = samples
    lengths = np.asarray(jax.vmap(lambda shape: hand_length(hand, shape))(shapes))
    low, high = HAND_LENGTH_RANGE_M
    assert (lengths > low - 1e-3).all()
    assert (lengths < high + 1e-3).all()
    assert np.std(lengths) > 0.01
    assert 0.19 < hand_length(hand, np.float32(MEAN_SHAPE)) < 0.22


def test_mean_bone_length_is_that_of_samples(hand, samples):
    _, _, posed = samples
    first, second = np.array(KEYPOINT_EDGES).T
    bones = np.linalg.norm(posed.keypoints[:, first] - posed.keypoints[:, second], axis=-1)
    np.testing.assert_allclose(bones.sum(1).mean(), hand.mean_bone_length_m, rtol=0.03)


def test_the_kept_mean_hand_is_that_of_the_rig(hand):
    np.testing.assert_allclose(hand.mean_vertices, mean_vertices(hand), atol=1e-6)
