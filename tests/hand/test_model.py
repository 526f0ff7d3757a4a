from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.hand import model
from i2uv_jax.hand.model import HandPose, pose_hand, rest_hand
from i2uv_jax.hand.pose_prior import WRIST_LIMITS, forearm_rotation_from_angles
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS

REFERENCE = Path(__file__).parents[1] / "golden" / "anny_reference.npz"
IDENTITY_POSE = HandPose(jnp.tile(jnp.eye(3), (NUM_JOINTS, 1, 1)), jnp.eye(3))


def test_skinning_matches_anny_with_its_original_rig():
    """Phenotypes, blend shapes, kinematics and skinning against anny's own posed vertices."""
    reference = np.load(REFERENCE)
    shapes = (
        reference["blend_shapes"].astype(np.float32)
        * reference["blend_shapes_scale"][:, None, None]
        + reference["blend_shapes_offset"][:, None]
    )
    parents = tuple(int(parent) for parent in reference["rig_parents"])
    weights = np.zeros((len(reference["template"]), len(parents)), np.float32)
    weights[reference["rig_weights_rows"], reference["rig_weights_columns"]] = reference[
        "rig_weights_values"
    ]
    for phenotype, rotations, root, expected in zip(
        *(reference[name] for name in ("phenotypes", "rotations", "root", "vertices")), strict=True
    ):
        coefficients = model.phenotype_coefficients(reference["corner_coefficients"], phenotype)
        rest = model.blend_vertices(reference["template"], shapes, coefficients)
        heads = model.blend_vertices(
            reference["rig_heads"], reference["rig_head_shapes"], coefficients
        )
        world, joints = model.forward_kinematics(parents, heads, jnp.asarray(rotations))
        joints = joints + (root - heads[0])  # anny puts the root where the pose says
        vertices = model.linear_blend_skinning(rest, weights, heads, world, joints)
        error_mm = np.linalg.norm(vertices - expected, axis=-1).max() * 1e3
        assert error_mm < 0.01, error_mm


def test_jit_and_vmap_agree_with_single_eager_hands(hand, samples):
    """XLA's CPU backend once gave wrong vertices under both; see `linear_blend_skinning`."""
    shapes, poses, posed = samples
    for index in (0, 7):
        pose = jax.tree.map(lambda leaf, index=index: jnp.asarray(leaf[index]), poses)
        single = pose_hand(hand, jnp.asarray(shapes[index]), pose)
        for got, expected in zip(
            jax.tree.leaves(jax.tree.map(lambda leaf, index=index: leaf[index], posed)),
            jax.tree.leaves(single),
            strict=True,
        ):
            np.testing.assert_allclose(got, expected, atol=2e-6)


def test_identity_pose_is_the_rest_hand(hand):
    shape = jnp.asarray(MEAN_SHAPE, jnp.float32)
    rest, posed = rest_hand(hand, shape), pose_hand(hand, shape, IDENTITY_POSE)
    np.testing.assert_allclose(posed.vertices, rest.vertices, atol=1e-6)
    np.testing.assert_allclose(posed.joints, rest.joints, atol=1e-6)
    np.testing.assert_allclose(posed.forearm_vertices, rest.forearm_vertices, atol=2e-6)


def test_hand_frame_of_every_shape(hand, samples):
    shapes, _, _ = samples
    rest = jax.jit(jax.vmap(lambda shape: rest_hand(hand, shape)))(shapes)
    middle_mcp = np.asarray(rest.joints)[:, JOINT_NAMES.index("middle_mcp")]
    np.testing.assert_allclose(rest.joints[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(middle_mcp[:, [0, 2]], 0, atol=1e-5)
    assert (middle_mcp[:, 1] > 0.06).all()
    thumb_ip = np.asarray(rest.joints)[:, JOINT_NAMES.index("thumb_ip")]
    assert (thumb_ip[:, 0] > 0.02).all()  # +x is the thumb's side
    assert (thumb_ip[:, 2] > 0.01).all()  # +z the palm's


def test_root_rotation_turns_the_whole_hand(hand, samples):
    shapes, poses, posed = samples
    turn = np.asarray(model.axis_angle_matrix(jnp.array([0.6, 0.0, 0.8]), 1.1))
    rotations = poses.joint_rotations[3].copy()
    rotations[0] = turn
    turned = pose_hand(
        hand,
        jnp.asarray(shapes[3]),
        HandPose(jnp.asarray(rotations), jnp.asarray(poses.forearm_rotation[3])),
    )
    for name in ("vertices", "forearm_vertices", "joints", "keypoints"):
        before, after = getattr(posed, name)[3], getattr(turned, name)
        np.testing.assert_allclose(after, before @ turn.T, atol=2e-6)


def test_gradients_are_finite_even_at_rest(hand):
    def total(shape, rotations, forearm):
        posed = pose_hand(hand, shape, HandPose(rotations, forearm))
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(posed))

    gradients = jax.jit(jax.grad(total, (0, 1, 2)))(
        jnp.asarray(MEAN_SHAPE, jnp.float32),
        IDENTITY_POSE.joint_rotations,
        IDENTITY_POSE.forearm_rotation,
    )
    chex.assert_tree_all_finite(gradients)
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_bent_knuckles_keep_their_distance_from_the_joint(hand):
    """What the pose correctives are for: plain skinning draws them inwards by a third."""
    joint = JOINT_NAMES.index("index_pip")
    axis = np.cross(hand.bone_directions[joint], hand.palmar_normals[joint])
    rotations = IDENTITY_POSE.joint_rotations.at[joint].set(
        model.axis_angle_matrix(jnp.asarray(axis), np.pi / 2)
    )
    shape = jnp.asarray(MEAN_SHAPE, jnp.float32)
    rest = pose_hand(hand, shape, IDENTITY_POSE)
    bent = pose_hand(hand, shape, HandPose(rotations, jnp.eye(3)))
    follow = hand.skin_weights[:, joint : joint + 2].sum(1)
    dorsal = (rest.vertices - rest.joints[joint]) @ hand.palmar_normals[joint] < -0.004
    halfway = np.flatnonzero((np.abs(follow - 0.5) < 0.2) & np.asarray(dorsal))
    assert len(halfway) >= 3
    before = np.linalg.norm(rest.vertices[halfway] - rest.joints[joint], axis=1)
    after = np.linalg.norm(bent.vertices[halfway] - bent.joints[joint], axis=1)
    assert (after / before > 0.93).all(), (after / before).min()


def test_a_bent_wrist_does_not_fold_the_forearm(hand):
    """Edges along the forearm keep pointing to the elbow, on the inner side of the bend, too."""
    shape = jnp.asarray(MEAN_SHAPE, jnp.float32)
    pose = jax.jit(
        lambda angles: pose_hand(
            hand,
            shape,
            HandPose(IDENTITY_POSE.joint_rotations, forearm_rotation_from_angles(hand, angles)),
        )
    )
    rest = np.asarray(pose(jnp.zeros(3)).forearm_vertices)
    local = hand.forearm_faces - hand.num_vertices
    edges = local[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges = edges[(edges >= 0).all(1)]
    along = (rest[edges[:, 1]] - rest[edges[:, 0]]) @ hand.forearm_axis
    shares = hand.forearm_bend[edges]
    lengthwise = (along > 0.008) & (shares.min(1) < 1) & (shares[:, 1] > shares[:, 0])
    edges, shares = edges[lengthwise], shares[lengthwise].mean(1)
    assert len(edges) > 20
    for extension, deviation in ((0, 0), (1, 0), (0, 1), (1, 1)):
        angles = (WRIST_LIMITS[0, extension], WRIST_LIMITS[1, deviation], 0.0)
        bend = forearm_rotation_from_angles(hand, jnp.asarray(angles, jnp.float32))
        axis, angle = model._small_axis_angle(bend)
        bent = np.asarray(pose(jnp.asarray(angles, jnp.float32)).forearm_vertices)
        turned = jax.vmap(model.axis_angle_matrix, (None, 0))(axis, shares * angle)
        outwards = np.asarray(turned) @ hand.forearm_axis
        reach = np.sum((bent[edges[:, 1]] - bent[edges[:, 0]]) * outwards, -1)
        assert reach.min() > 0, (angles, 1e3 * reach.min())


def test_the_web_of_the_thumb_hardly_folds(hand, samples):
    """Few edges between thumb and palm are sharper than a right angle: 0.66 a hand by skinning."""
    _, _, posed = samples
    thumb = hand.skin_weights[:, [JOINT_NAMES.index(f"thumb_{j}") for j in ("cmc", "mcp")]].sum(1)
    tip = hand.skin_weights[:, JOINT_NAMES.index("thumb_ip")]
    in_web = (thumb > 0.02) & (thumb < 0.98) & (tip < 0.01)
    faces = hand.faces[in_web[hand.faces].all(1)]
    a, b, c = (posed.vertices[:, faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    halves = {}
    for face, corners in enumerate(faces):
        for first, second in zip(corners, np.roll(corners, -1), strict=True):
            halves.setdefault((min(first, second), max(first, second)), []).append(face)
    left, right = np.array([pair for pair in halves.values() if len(pair) == 2]).T
    folded = np.sum(normals[:, left] * normals[:, right], -1) < 0
    assert len(left) > 150
    assert folded.sum(1).mean() < 0.5
