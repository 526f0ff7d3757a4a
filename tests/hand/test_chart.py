import numpy as np
import pytest

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices, vertices_from_uv_map
from i2uv_jax.hand.build.chart import RelaxationConfig, refine_chart, relax_chart

_QUICK = RelaxationConfig(target_fills=(0.4, 0.7, 1.0), newton_steps=5)


def _sector(num_rings=5, num_spokes=24):
    """A curled-up strip, as (uv, faces): 300 degrees of an annulus."""
    radius = np.linspace(0.3, 0.5, num_rings)[:, None]
    angle = np.linspace(0, np.deg2rad(300), num_spokes)
    uv = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    corner = np.arange(num_rings * num_spokes).reshape(num_rings, num_spokes)
    near, far = corner[:-1], corner[1:]
    first = np.stack([near[:, :-1], far[:, :-1], far[:, 1:]], axis=-1)
    second = np.stack([near[:, :-1], far[:, 1:], near[:, 1:]], axis=-1)
    return uv, np.concatenate([first, second]).reshape(-1, 3)


def _surface(uv):
    """The flat chart bent over a dome."""
    return np.column_stack([uv, 0.5 * (uv**2).sum(axis=1)])


def _areas(uv, faces):
    edges = uv[faces[:, 1:]] - uv[faces[:, :1]]
    return np.linalg.det(edges) / 2


def _num_triangles_at(uv, faces, points):
    """How many triangles hold each point in their interior."""
    corners = uv[faces]
    along = np.roll(corners, -1, axis=1) - corners
    offset = points[:, None, None] - corners
    side = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
    return ((side > 1e-9).all(axis=-1) | (side < -1e-9).all(axis=-1)).sum(axis=1)


@pytest.fixture(scope="module")
def relaxed():
    uv, faces = _sector()
    return relax_chart(uv, faces, _surface(uv), faces, _QUICK), faces


def test_fills_more_of_the_square_and_stays_inside_the_margin(relaxed):
    uv, faces = relaxed
    start, _ = _sector()
    side = np.ptp(start, axis=0).max()
    assert np.abs(_areas(uv, faces)).sum() > 1.3 * np.abs(_areas(start, faces)).sum() / side**2
    assert uv.min() > _QUICK.barriers.margin and uv.max() < 1 - _QUICK.barriers.margin


def test_keeps_every_triangle_upright_and_apart(relaxed):
    uv, faces = relaxed
    start, _ = _sector()
    assert (_areas(uv, faces) * _areas(start, faces) > 0).all()
    points = np.random.default_rng(0).random((4000, 2))
    assert _num_triangles_at(uv, faces, points).max() == 1


def test_ends_of_the_strip_keep_a_gap(relaxed):
    uv, _ = relaxed
    rings = uv.reshape(5, 24, 2)
    ends = np.linalg.norm(rings[:, None, 0] - rings[None, :, -1], axis=-1)
    assert ends.min() > 0.4 * _QUICK.barriers.gap


def test_a_mirrored_chart_gives_the_mirrored_result(relaxed):
    uv, faces = _sector()
    mirrored = relax_chart(uv * [-1, 1], faces, _surface(uv), faces, _QUICK)
    np.testing.assert_allclose(mirrored, relaxed[0] * [-1, 1] + [1, 0], atol=1e-4)


def test_small_surface_triangles_get_more_texels_than_their_share():
    """One half of a strip is meshed four times as finely as the other."""
    columns = np.concatenate([np.linspace(0, 1, 5), np.linspace(1, 2, 17)[1:]])
    uv = np.stack(np.meshgrid(columns, [0.0, 0.5, 1.0]), axis=-1).reshape(-1, 2)
    corner = np.arange(len(uv)).reshape(3, -1)
    low, right, up, far = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    faces = np.stack([low, right, far, low, far, up], axis=-1).reshape(-1, 3)
    surface = np.column_stack([uv, np.zeros(len(uv))])
    areas = _areas(relax_chart(uv, faces, surface, faces, _QUICK), faces)
    fine = uv[faces].mean(axis=1)[:, 0] > 1
    assert areas[fine].sum() > 1.2 * areas[~fine].sum()


def test_refinement_lowers_the_worst_loss_of_a_round_trip(relaxed):
    """Three spikes on a smooth surface lose most in a map, so they get more texels."""
    uv, faces = relaxed
    start, _ = _sector()
    surface = _surface(start)
    spiked = surface.copy()
    spiked[[30, 60, 90], 2] += 0.5
    refined = refine_chart(
        uv, faces, surface, faces, np.stack([surface, spiked]), _QUICK, rounds=3, map_size=64
    )

    def worst_loss(chart):
        tables = build_tables(Atlas(chart, faces, faces, len(chart)), 64)
        returned = vertices_from_uv_map(tables, uv_map_from_vertices(tables, spiked))
        return np.linalg.norm(returned - spiked, axis=-1).max()

    assert worst_loss(refined) < 0.8 * worst_loss(uv)
    assert (_areas(refined, faces) * _areas(uv, faces) > 0).all()


def test_rejects_charts_that_are_not_one_to_one():
    uv, faces = _sector()
    flipped = faces.copy()
    flipped[0] = flipped[0, ::-1]
    with pytest.raises(ValueError, match="flipped"):
        relax_chart(uv, flipped, _surface(uv), flipped, _QUICK)
    # The same strip wound on to 390 degrees overlaps its own beginning.
    angle = np.repeat([np.linspace(0, np.deg2rad(390), 24)], 5, axis=0).ravel()
    radius = np.linalg.norm(uv, axis=1)
    wound = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    with pytest.raises(ValueError, match="cross itself"):
        relax_chart(wound, faces, _surface(uv), faces, _QUICK)
