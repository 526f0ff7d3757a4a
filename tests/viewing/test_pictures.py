"""Drawn meshes, skeletons and panels: what is where, and in which colour."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.prediction import HandPrediction
from i2uv_jax.render.mesh_picture import MESH_COLOUR, draw_meshes
from i2uv_jax.viewing.error_colours import ERROR_COLOURS, error_colours
from i2uv_jax.viewing.overlay import FINGER_COLOURS, composite, overlay_mesh, overlay_skeleton
from i2uv_jax.viewing.panel import TILE_PX, prediction_panel, tile_row
from i2uv_jax.viewing.png import png_bytes
from i2uv_jax.viewing.uv_colours import uv_map_colours

SIZE = 40
# A square from (10, 10) to (30, 20) that faces the camera: counter-clockwise seen from there,
# which is clockwise in coordinates whose y points down.
SQUARE = np.array([[10, 10, 0], [30, 10, 0], [30, 20, 0], [10, 20, 0]], float)
FACES = np.array([[0, 2, 1], [0, 3, 2]])


def test_mesh_covers_exactly_its_pixels():
    (picture,) = draw_meshes(SQUARE[None, :, :2], SQUARE[None], FACES, SIZE)
    expected = np.zeros((SIZE, SIZE), bool)
    expected[10:20, 10:30] = True
    np.testing.assert_array_equal(picture[..., 3], np.where(expected, 255, 0))


def test_outlines_are_antialiased():
    shifted = SQUARE + np.array([0.5, 0, 0])
    (picture,) = draw_meshes(shifted[None, :, :2], shifted[None], FACES, SIZE)
    assert set(picture[12, [9, 10, 11, 30, 31], 3].tolist()) == {0, 128, 255}


def test_nearer_triangles_hide_farther_ones_and_light_comes_from_above():
    tilted_up = np.array([[10, 10, 10], [30, 10, 10], [30, 20, 0], [10, 20, 0]], float)
    tilted_down = np.array([[10, 10, 0], [30, 10, 0], [30, 20, 10], [10, 20, 10]], float)
    up, down = draw_meshes(
        np.stack([tilted_up[:, :2], tilted_down[:, :2]]),
        np.stack([tilted_up, tilted_down]),
        FACES,
        SIZE,
    )
    assert up[15, 20, 0] > 1.3 * down[15, 20, 0]
    both = np.concatenate([tilted_down + np.array([0, 0, 50]), tilted_up])
    (picture,) = draw_meshes(
        both[None, :, :2], both[None], np.concatenate([FACES, FACES + 4]), SIZE
    )
    assert picture[15, 20, 0] == pytest.approx(int(up[15, 20, 0]), abs=2)


def test_normals_point_out_of_a_tetrahedron():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertex_normals(vertices, faces)
    outward = vertices - vertices.mean(0)
    assert (np.sum(normals * outward, axis=-1) > 0).all()


def test_overlay_blends_by_opacity():
    grey = np.full((SIZE, SIZE, 3), 100, np.uint8)
    clear = overlay_mesh(grey, SQUARE[:, :2], SQUARE, FACES, opacity=0.0)
    np.testing.assert_array_equal(clear, grey)
    full = overlay_mesh(grey, SQUARE[:, :2], SQUARE, FACES, opacity=1.0)
    half = overlay_mesh(grey, SQUARE[:, :2], SQUARE, FACES, opacity=0.5)
    np.testing.assert_allclose(half, (grey.astype(float) + full) / 2, atol=1)
    assert (full[:9] == 100).all() and (full[12, 12] != 100).any()


def test_composite_ignores_colour_without_alpha():
    layer = np.zeros((2, 2, 4), np.uint8)
    layer[..., :3] = 255
    picture = np.full((2, 2, 3), 7, np.uint8)
    np.testing.assert_array_equal(composite(picture, layer), picture)


def test_skeleton_puts_each_finger_in_its_colour():
    points = np.stack([15.0 + 30 * np.arange(21), np.full(21, 40.0)], -1)
    picture = overlay_skeleton(np.zeros((80, 660, 3), np.uint8), points)
    for name, (x, y) in zip(KEYPOINT_NAMES, points, strict=True):
        assert tuple(picture[int(y), int(x)]) == FINGER_COLOURS[name.split("_")[0]]
    assert (picture[:20] == 0).all()


def test_skeleton_far_outside_the_picture_is_harmless():
    picture = np.zeros((50, 50, 3), np.uint8)
    points = np.random.default_rng(0).normal(0, 1e4, (21, 2))
    assert overlay_skeleton(picture, points).shape == picture.shape


def test_uv_colours_span_each_channel_inside_the_chart():
    rng = np.random.default_rng(0)
    uv_map = rng.uniform(-1, 1, (8, 8, 3)) * np.array([1, 5, 0.1])
    mask = np.ones((8, 8), bool)
    mask[0] = False
    uv_map[0] = 100
    colours = uv_map_colours(uv_map, mask, background=(1, 2, 3))
    assert (colours[0] == (1, 2, 3)).all()
    assert np.ptp(colours[mask], axis=0).min() > 200
    # More x is more red.
    order = np.argsort(uv_map[mask][:, 0])
    assert (np.diff(colours[mask][order, 0].astype(int)) >= 0).all()


def test_constant_map_gives_a_colour():
    assert uv_map_colours(np.zeros((4, 4, 3)), np.ones((4, 4), bool)).shape == (4, 4, 3)


def rest_hand_prediction() -> HandPrediction:
    """The template, palm to the camera, in the middle of a 200 x 120 picture's left 100 pixels."""
    hand = load_hand()
    vertices = 1000 * (hand.template - hand.template.mean(0)) * np.array([1, -1, -1])
    points = 0.4 * vertices[:, :2] + 50
    in_crop = np.concatenate([points / 100, vertices[:, 2:] * 0.004], axis=-1)
    keypoints = hand.keypoint_regressor @ vertices
    return HandPrediction(
        uv_map=np.asarray(uv_map_from_vertices(build_tables(hand.atlas, 64), in_crop)),
        vertices_mm=vertices - keypoints[0],
        vertices_2d=points,
        faces=hand.faces,
        keypoints_3d_mm=keypoints - keypoints[0],
        keypoints_2d=hand.keypoint_regressor @ points,
        crop_xyxy=np.array([0.0, 0.0, 100.0, 100.0]),
        handedness="right",
    )


def test_panel_shows_five_tiles():
    photo = np.full((120, 200, 3), (20, 140, 60), np.uint8)
    mask = build_tables(load_hand().atlas, 64).texel_mask
    panel = prediction_panel(photo, rest_hand_prediction(), mask)
    tiles = [panel[-TILE_PX - 8 : -8, 8 + i * (TILE_PX + 8) :][:, :TILE_PX] for i in range(5)]
    assert panel.shape[1] == 5 * (TILE_PX + 8) + 8
    assert (tiles[0] == (20, 140, 60)).all()
    for tile in (tiles[1], tiles[3], tiles[4]):
        different = (tile != tile[2, 2]).any(axis=-1)
        assert 0.1 < different.mean() < 0.7
        # Nothing is cut off at the tile's edges.
        assert not (different[0].any() or different[-1].any())
    assert len(np.unique(tiles[2].reshape(-1, 3), axis=0)) > 1000
    assert (tiles[1][2, 2] == (20, 140, 60)).all()


def test_errors_go_from_green_over_yellow_to_red():
    colours = error_colours(np.array([0.0, 7.5, 15, 30, 100]))
    np.testing.assert_array_equal(colours[[0, 2, 3]], list(ERROR_COLOURS.values()))
    np.testing.assert_allclose(colours[1], colours[[0, 2]].mean(axis=0))
    np.testing.assert_array_equal(colours[4], colours[3])


def test_a_mesh_of_one_colour_is_the_same_by_vertex():
    colours = np.tile(MESH_COLOUR, (len(SQUARE), 1))
    plain = draw_meshes(SQUARE[None, :, :2], SQUARE[None], FACES, SIZE)
    coloured = draw_meshes(SQUARE[None, :, :2], SQUARE[None], FACES, SIZE, colours)
    np.testing.assert_allclose(coloured.astype(int), plain, atol=1)


def test_a_panel_that_shows_errors_is_red_where_they_are_large():
    photo = np.full((120, 200, 3), (20, 140, 60), np.uint8)
    hand = load_hand()
    mask = build_tables(hand.atlas, 64).texel_mask
    prediction = rest_hand_prediction()
    tip = prediction.keypoints_3d_mm[12]
    error_mm = np.where(np.linalg.norm(prediction.vertices_mm - tip, axis=1) < 25, 40.0, 0.0)
    panel = prediction_panel(
        photo, replace(prediction, vertex_error_mm=error_mm), mask, show_errors=True
    )
    (behind,) = [panel[-TILE_PX - 8 : -8, 8 + 4 * (TILE_PX + 8) :].astype(int)]
    red, green, _ = np.moveaxis(behind, -1, 0)
    is_red, is_green = red > green + 50, green > red + 50
    assert 0.001 < is_red.mean() < is_green.mean()
    # The middle finger is the longest one, and what is red lies at its tip.
    rows = np.arange(TILE_PX)
    assert np.average(rows, weights=is_red.sum(1)) < np.average(rows, weights=is_green.sum(1))


def test_png_is_lossless_and_repeatable():
    row = tile_row({"a": np.zeros((30, 30, 3), np.uint8), "b": np.full((30, 30, 3), 9, np.uint8)})
    content = png_bytes(row)
    assert content == png_bytes(row)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), row)
