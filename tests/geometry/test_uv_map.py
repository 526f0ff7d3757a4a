"""UV position maps: exact on planes, accurate on the hand, extended past the border."""

import jax
import numpy as np
import pytest

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape


@pytest.fixture(scope="module")
def posed_vertices_mm():
    hand = load_hand()

    def one(key):
        shape_key, pose_key = jax.random.split(key)
        return pose_hand(hand, sample_shape(shape_key), sample_pose(pose_key)).vertices

    keys = jax.random.split(jax.random.key(3), 32)
    return 1000 * np.asarray(jax.jit(jax.vmap(one))(keys))


def round_trip_error_mm(atlas, size, vertices_mm):
    tables = build_tables(atlas, size)
    uv_map = uv_map_from_vertices(tables, vertices_mm)
    return np.linalg.norm(vertices_from_uv_map(tables, uv_map) - vertices_mm, axis=-1)


# At 256 the limits are the project's promise; the smaller sizes bound what small networks lose.
# `docs/data.md` has the numbers as measured here.
@pytest.mark.parametrize(
    ("size", "mean_mm", "max_mm"),
    [(256, 0.1, 0.5), (128, 0.2, 1.2), (64, 0.4, 2.5), (32, 1.0, 30)],
)
def test_hand_survives_the_round_trip(posed_vertices_mm, size, mean_mm, max_mm):
    error = round_trip_error_mm(load_hand().atlas, size, posed_vertices_mm)
    print(f"{size}: mean {error.mean():.3f} mm, max {error.max():.2f} mm")
    assert error.mean() < mean_mm
    assert error.max() < max_mm


def write_obj_in_two_pieces(path, hand):
    """The hand with a `vt` layout of its own, as users of other topologies bring one.

    Its chart is cut in two along v = 1/2; the halves stand side by side, the second on its head.
    """
    atlas = hand.atlas
    is_second = atlas.uv[atlas.faces_uv].mean(axis=1)[:, 1] > 0.5
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in hand.template]
    corners, count = np.empty_like(atlas.faces_uv), 0
    for piece in (0, 1):
        used, index = np.unique(atlas.faces_uv[is_second == piece], return_inverse=True)
        uv = atlas.uv[used] - atlas.uv[used].min(axis=0)
        uv = uv / uv.max(axis=0)
        uv = [0.02 + 0.5 * piece, 0.02] + (1 - uv if piece else uv) * [0.46, 0.96]
        lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in uv]
        corners[is_second == piece] = count + index.reshape(-1, 3)
        count += len(used)
    for face in np.stack([atlas.faces, corners], axis=-1) + 1:
        lines.append("f " + " ".join(f"{vertex}/{coordinate}" for vertex, coordinate in face))
    path.write_text("\n".join(lines))


def test_hand_survives_the_round_trip_over_an_obj_s_own_layout(tmp_path, posed_vertices_mm):
    hand = load_hand()
    write_obj_in_two_pieces(tmp_path / "two_pieces.obj", hand)
    atlas = Atlas.from_obj(tmp_path / "two_pieces.obj")
    np.testing.assert_array_equal(atlas.faces, hand.faces)
    # The cut added seams: vertices with a texture coordinate on either side.
    assert len(atlas.uv) > len(hand.atlas.uv)
    # Half the texels of the own layout in one direction.
    for size, mean_mm, max_mm in ((256, 0.15, 1.2), (128, 0.25, 2.5), (64, 0.55, 8), (32, 1.5, 35)):
        error = round_trip_error_mm(atlas, size, posed_vertices_mm)
        print(f"{size}: mean {error.mean():.3f} mm, max {error.max():.2f} mm")
        assert error.mean() < mean_mm
        assert error.max() < max_mm


def unit_square_atlas():
    """A unit square of two triangles that covers the middle of its texture."""
    uv = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Atlas(uv=uv, faces=faces, faces_uv=faces, num_vertices=4)


def test_texels_hold_their_points_and_continue_the_plane_past_the_border():
    # Nine texels a side stand at multiples of 1/8; the chart covers texels 2 to 6. The surface
    # x = 2 u - 0.5 is a plane, so the two texels outside continue it and the corner one stops.
    tables = build_tables(unit_square_atlas(), 9)
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    uv_map = np.asarray(uv_map_from_vertices(tables, vertices))
    assert tables.texel_mask.sum() == 25
    np.testing.assert_allclose(uv_map[4, :, 0], np.arange(9) / 4 - 0.5, atol=1e-6)
    np.testing.assert_allclose(uv_map[:, 4, 1], np.arange(9) / 4 - 0.5, atol=1e-6)
    np.testing.assert_allclose(vertices_from_uv_map(tables, uv_map), vertices, atol=1e-6)


def test_sides_of_a_seam_are_averaged():
    # Vertex 1 has two places in the texture: its value is the mean of the two texels there.
    uv = np.array([[0, 0], [0.5, 0], [0, 0.5], [1, 1], [0.5, 1]])
    faces = np.array([[0, 1, 2], [1, 0, 2]], np.int32)
    faces_uv = np.array([[0, 1, 2], [3, 4, 2]], np.int32)
    # Vertex 0 is at uv 0 and 4, vertex 1 at uv 1 and 3.
    tables = build_tables(Atlas(uv=uv, faces=faces, faces_uv=faces_uv, num_vertices=3), 3)
    uv_map = np.zeros((3, 3, 3), np.float32)
    uv_map[0, 1], uv_map[2, 2] = 2.0, 4.0
    vertices = np.asarray(vertices_from_uv_map(tables, uv_map))
    np.testing.assert_allclose(vertices[1], 3.0)


def test_every_texel_is_a_convex_or_bounded_mean():
    for size in (16, 64, 256):
        weights = build_tables(load_hand().atlas, size).texel_weights
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-4)
        assert np.abs(weights).max() <= 3.001


def test_wrong_sizes_are_refused():
    tables = build_tables(unit_square_atlas(), 9)
    with pytest.raises(ValueError, match=r"\(\.\.\., 9, 9, 3\), got \(8, 8, 3\)"):
        vertices_from_uv_map(tables, np.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        build_tables(unit_square_atlas(), 1)
