"""The high-fidelity hand: where its relief lies, how it follows the pose, how high it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import DetailConfig
from i2uv_jax.hand.detail import joint_flexion, relief_mm, sample_traits, strokes
from i2uv_jax.hand.detail_chart import (
    DETAIL_JOINTS,
    DISTAL_JOINTS,
    build_detail_tables,
    subdivision_of,
)
from i2uv_jax.hand.high_fidelity import detail_energy_mm, high_fidelity_uv_map, smooth_surface
from i2uv_jax.hand.model import HandPose, axis_angle_matrix, pose_hand
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS

SIZE = 128
NOTHING = DetailConfig(
    wrinkles=0, palm_lines=0, tendons=0, veins=0, nails=0, pads=0, smoothing_texels=0
)
SHAPE = jnp.asarray(MEAN_SHAPE, jnp.float32)
REST = HandPose(jnp.tile(jnp.eye(3), (NUM_JOINTS, 1, 1)), jnp.eye(3))


@pytest.fixture(scope="module")
def relief(hand):
    """Relief (n,) of ten people who have only what the config says, with all joints bent alike."""
    chart = build_detail_tables(hand, SIZE).chart

    @jax.jit
    def relief_of(key, strengths, bend):
        names = ("wrinkles", "palm_lines", "tendons", "veins", "nails", "pads")
        config = _Traced(**dict(zip(names, strengths, strict=True)), variation=1.0)

        def one(key):
            return relief_mm(chart, sample_traits(key, hand, config), bend)

        return jax.vmap(one)(jax.random.split(key, 10))

    def of(bend_degrees=0.0, **strengths):
        values = jax.tree.leaves(
            [
                getattr(replace(NOTHING, **strengths), name)
                for name in ("wrinkles", "palm_lines", "tendons", "veins", "nails", "pads")
            ]
        )
        bend = jnp.full(NUM_JOINTS, jnp.deg2rad(bend_degrees))
        return np.asarray(relief_of(jax.random.key(0), jnp.array(values, jnp.float32), bend))

    return of


class _Traced:
    """Strengths as traced values, so that all tests share one compilation."""

    def __init__(self, **values):
        self.__dict__.update(values)


def at_joints(hand, kind, side):
    """Texels within 6 mm of the fingers' joints of a kind, on their back or their palm side."""
    chart = build_detail_tables(hand, SIZE).chart
    rows = [row for row, joint in enumerate(DETAIL_JOINTS) if JOINT_NAMES[joint].endswith(kind)]
    return np.isin(chart.joint, rows) & (np.abs(chart.along) < 6) & (getattr(chart, side) > 0.9)


def test_without_strengths_there_is_no_relief(relief):
    np.testing.assert_array_equal(relief(), 0)


@pytest.mark.parametrize("kind", ["pip", "dip"])
def test_folds_on_the_back_vanish_as_a_finger_bends(hand, relief, kind):
    place = at_joints(hand, kind, "dorsal")
    depth = [relief(bend, wrinkles=1)[:, place].std() for bend in (0, 30, 60, 90)]
    assert depth[0] > 2 * depth[2] > 0
    assert (np.diff(depth) <= 1e-6).all()
    assert depth[3] < 0.15 * depth[0]
    deepest = -relief(0, wrinkles=1)[:, place].min(axis=1)
    assert 0.1 < np.median(deepest) < 0.8


def test_creases_on_the_palm_side_deepen_as_a_finger_bends(hand, relief):
    place = at_joints(hand, "pip", "palmar")
    straight, bent = (relief(bend, wrinkles=1)[:, place].min(axis=1) for bend in (0, 90))
    assert (bent < 1.3 * straight).all()
    assert (straight < -0.1).all()


def test_tendons_show_in_stretched_fingers(hand, relief):
    stretched, bent = (relief(bend, tendons=1).max(axis=1) for bend in (-25, 60))
    assert (stretched > 3 * bent).all()
    assert 0.6 < np.median(stretched) < 1.5


def test_veins_and_palm_lines_lie_on_their_own_sides(hand, relief):
    _, normals = smooth_surface(hand, pose_hand(hand, SHAPE, REST).vertices, SIZE)
    facing_palm = np.asarray(normals)[..., 2].ravel()
    veins, lines = relief(veins=1), relief(palm_lines=1)
    assert veins.min() >= 0
    assert lines.max() <= 0
    assert facing_palm[(veins > 0.1).any(axis=0)].max() < 0.1
    assert facing_palm[(lines < -0.1).any(axis=0)].min() > -0.1
    assert 0.2 < np.median(veins.max(axis=1)) < 1.2
    assert 0.3 < np.median(-lines.min(axis=1)) < 1.0


def test_nails_lie_on_the_back_of_the_last_phalanges(hand, relief):
    posed = pose_hand(hand, SHAPE, REST)
    points, normals = smooth_surface(hand, posed.vertices, SIZE)
    chart = build_detail_tables(hand, SIZE).chart
    is_nail = (relief(nails=1) > 0.2).any(axis=0)
    joints = np.array(DISTAL_JOINTS)[chart.finger[is_nail]]
    facing = np.sum(np.asarray(normals).reshape(-1, 3)[is_nail] * hand.palmar_normals[joints], -1)
    beyond = np.asarray(points).reshape(-1, 3)[is_nail] - np.asarray(posed.joints)[joints]
    assert facing.max() < 0.1
    assert (np.sum(beyond * hand.bone_directions[joints], -1) > 0.004).all()
    assert set(chart.finger[is_nail]) == set(range(5))


def test_flexion_is_the_angle_of_bending(hand):
    joint = JOINT_NAMES.index("ring_pip")
    axis = np.cross(hand.bone_directions[joint], hand.palmar_normals[joint])
    for degrees in (-20, 0, 50, 110):
        turn = axis_angle_matrix(jnp.asarray(axis), jnp.deg2rad(degrees))
        flexion = joint_flexion(hand, REST.joint_rotations.at[joint].set(turn))
        expected = np.zeros(NUM_JOINTS)
        expected[joint] = degrees
        np.testing.assert_allclose(np.rad2deg(flexion), expected, atol=0.1)


def test_strokes_are_highest_on_their_line():
    line = jnp.array([[[0.0, 0], [10, 0], [20, 0], [30, 0], [40, 0]]])
    points = jnp.array([[20.0, 0], [20, 2], [20, -4], [80, 0]])
    height = strokes(points, line, jnp.array([3.0]), 2.0)
    np.testing.assert_allclose(height, 3 * np.exp([0, -1, -4, -np.inf]), atol=1e-6)


def test_zero_relief_is_the_smooth_surface_and_energy_is_that_of_skin(hand):
    # The shape is an argument, or XLA would fold the whole computation into a constant, slowly.
    @jax.jit
    def measure(key, shape):
        nothing = sample_traits(key, hand, NOTHING)
        plain = high_fidelity_uv_map(hand, shape, REST, nothing, NOTHING, SIZE)
        smooth, _ = smooth_surface(hand, pose_hand(hand, shape, REST).vertices, SIZE)
        config = DetailConfig()
        traits = sample_traits(key, hand, config)
        energy = detail_energy_mm(hand, shape, REST, traits, config, SIZE)
        return plain, smooth, energy, detail_energy_mm(hand, shape, REST, nothing, NOTHING, SIZE)

    plain, smooth, energy, of_smoothness = measure(jax.random.key(5), SHAPE)
    np.testing.assert_allclose(plain, smooth, atol=1e-7)
    # Wrinkles of tenths of a millimetre on a part of the hand, and the mesh's facets. (Measured at
    # 256 texels: 0.26 and 0.70 with relief, 0.19 and 0.51 without.)
    assert 0.15 < energy.mean_mm < 0.5
    assert 0.5 < energy.percentile_95_mm < 1.2
    assert energy.greatest_mm < 3.5
    assert of_smoothness.mean_mm < 0.25
    assert energy.mean_mm > 1.15 * of_smoothness.mean_mm


def test_the_exported_mesh_is_fine_enough(hand):
    atlas = subdivision_of(hand).atlas
    assert len(atlas.faces) >= 25_000
    assert len(atlas.vertex_of_uv) == len(atlas.uv)
