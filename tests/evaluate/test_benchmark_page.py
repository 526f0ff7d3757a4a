"""What a benchmark's report holds: curves where the scores say they run, and others' numbers."""

import re

import numpy as np
import pytest

from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.benchmark_page import benchmark_page
from i2uv_jax.evaluate.published import PUBLISHED
from i2uv_jax.evaluate.sample import Benchmark, Sample
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.viewing.charts import histogram

HAND = 0.05 * np.random.default_rng(0).normal(size=(21 + 778, 3)).astype(np.float32)
HAND += np.float32([0, 0, 0.6])


def page(key, *, num_vertices=778, **options):
    """Of one hand that is 20 mm off."""
    sample = Sample("one", None, HAND[:21], HAND[21:])
    moved = HAND + np.float32([0.02, 0, 0])
    answer = Answer(moved[:21], moved[21 : 21 + num_vertices] if num_vertices else None)
    evaluation = evaluate(Benchmark(key, "NAME", [sample], **options), [answer])
    return benchmark_page(evaluation, {"model": "ours", **summarize(evaluation)}, None).decode()


def curves(text):
    """Heights of all curves' points in pixels from the top, by chart and by name."""
    charts = {}
    for title, body in re.findall(r'aria-label="([^"]+)">(.*?)</svg>', text):
        lines = re.findall(r'<polyline points="([^"]+)".*?<text[^>]*>([^<]+)</text>', body)
        if lines:
            charts[title] = {
                name: [float(pair.split(",")[1]) for pair in points.split()]
                for points, name in lines
            }
    return charts


def test_curves_of_keypoints_and_vertices_jump_at_the_error():
    found = curves(page("ho3d-v2", scales_and_shifts=True))
    keypoints, vertices = found.values()
    assert list(keypoints) == ["as they are", "aligned", "wrist and scale"]
    assert list(vertices) == ["as they are", "aligned"]
    for own in (keypoints, vertices):
        heights = np.array(own["as they are"])
        # 20 mm is reached at the 40th of the steps of 0.505 mm.
        assert len(set(heights[:40])) == len(set(heights[40:])) == 1 and heights[39] > heights[40]
        np.testing.assert_allclose(own["aligned"][1:], heights[-1])


@pytest.mark.parametrize("num_vertices", [0, 700])
def test_there_are_no_curves_of_vertices_that_do_not_correspond(num_vertices):
    (keypoints,) = curves(page("freihand", num_vertices=num_vertices)).values()
    assert list(keypoints) == ["as they are", "aligned"]


def test_others_numbers_stand_below_ours_with_their_sources():
    text = page("freihand")
    methods = ("I2UV-HandNet", "METRO", "Mesh Graphormer", "MobRecon", "HaMeR", "WiLoR")
    places = [text.index(f"<td>{method} (") for method in methods]
    assert text.index("<td>ours</td>") < min(places)
    assert "arXiv:2409.12259" in text and "MeshGraphormer" in text
    assert all(row.source for rows in PUBLISHED.values() for row in rows)
    assert "published" not in page("hic")


def test_the_paper_s_own_numbers():
    freihand, ho3d = PUBLISHED["freihand"][0], PUBLISHED["ho3d-v2"][0]
    assert (freihand.keypoint_aligned_mm, freihand.vertex_aligned_mm) == (6.7, 6.9)
    assert (freihand.f_aligned_5, freihand.f_aligned_15) == (0.707, 0.977)
    assert (ho3d.keypoint_aligned_mm, ho3d.vertex_aligned_mm) == (9.9, 10.1)
    assert (ho3d.f_aligned_5, ho3d.f_aligned_15) == (0.5, 0.943)
    assert (ho3d.keypoint_aligned_auc, ho3d.vertex_aligned_auc) == (0.804, 0.799)


def test_the_last_tick_of_an_axis_fits_into_the_picture():
    text = histogram("errors", [0.01, 0.2863], x_label="share")
    width = float(re.search(r'viewBox="0 0 (\d+)', text).group(1))
    x, label = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle">([\d.]+)</text>', text)[-1]
    # Characters are at most about 7 pixels wide.
    assert label == "0.286" and float(x) + 7 * len(label) / 2 < width
