"""A report from disk in a real browser, without a network."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2uv_jax.data.layouts.hand_photo import HandPhoto
from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.benchmark_page import benchmark_page
from i2uv_jax.evaluate.generated import generated_benchmark
from i2uv_jax.evaluate.photo_page import photo_page
from i2uv_jax.evaluate.photos import score_photo
from i2uv_jax.evaluate.photos import summarize as summarize_photos
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.imaging.annotations import Annotation

CHROMIUM = shutil.which("chromium")
MAGENTA = (255, 0, 255)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


def seen_in_browser(folder, page):
    """The pixels (h w 3) of a report that Chromium opens from disk and without a network."""
    (folder / "report.html").write_bytes(page)
    shot = folder / "shot.png"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
             "--window-size=1100,3500", f"--screenshot={shot}",
             (folder / "report.html").as_uri()]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return np.asarray(Image.open(shot).convert("RGB")).astype(int)


def check_is_shown(seen):
    """Three examples, a chart's bars, and text all the way down."""
    # Three examples of 200 x 200 pixels, on which the hand covers less than half.
    assert (seen == MAGENTA).all(axis=-1).sum() > 3 * 200 * 200 / 2
    # Bars of the chart by joint, in the report's blue.
    blue = (seen[..., 2] - seen[..., 0] > 80) & (seen[..., 0] < 80)
    assert blue.sum() > 2000
    dark_rows = np.flatnonzero((seen.max(axis=-1) < 80).any(axis=1))
    assert np.ptp(dark_rows) > 1200


def test_pictures_charts_and_tables_are_shown(tmp_path):
    hand = load_hand()
    vertices = (hand.template - hand.template.mean(0) + [0, 0, 0.6]).astype(np.float32)
    keypoints = (hand.keypoint_regressor @ vertices).astype(np.float32)
    photo = HandPhoto("magenta", Path("magenta"), 300.0, (100.0, 100.0))
    pixels = np.full((200, 200, 3), MAGENTA, np.uint8)
    sample = Sample("magenta", photo, keypoints, vertices, pixels=pixels)
    error = 0.01 * np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)
    evaluation = evaluate(generated_benchmark([sample]), [Answer(keypoints + error, vertices)])
    summary = {"model": "model", **summarize(evaluation)}
    check_is_shown(seen_in_browser(tmp_path, benchmark_page(evaluation, summary, hand.faces)))


def test_photos_beside_another_tool_are_shown(tmp_path):
    points = np.random.default_rng(0).uniform(0, 100, (21, 3))
    points[:, 2] = 1
    annotation = Annotation("magenta.png", (0.0, 0.0, 100.0, 100.0), None, points, points)
    score = score_photo(annotation, "right", points[:, :2] + 3, 1.1 * points)
    tile = np.full((200, 200, 3), MAGENTA, np.uint8)
    summary = {"model": "model", **summarize_photos([score])}
    beside = {"another tool": {**summary, "milliseconds_per_picture": 14.0}}
    check_is_shown(seen_in_browser(tmp_path, photo_page(summary, [(score, tile)], beside)))
