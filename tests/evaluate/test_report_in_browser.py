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
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.hand.asset import load_hand

CHROMIUM = shutil.which("chromium")
MAGENTA = (255, 0, 255)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
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
    (tmp_path / "report.html").write_bytes(benchmark_page(evaluation, summary, hand.faces))
    shot = tmp_path / "shot.png"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}",
             "--window-size=1100,3500", f"--screenshot={shot}",
             (tmp_path / "report.html").as_uri()]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    seen = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    # Three examples of 200 x 200 pixels, on which the hand covers less than half.
    assert (seen == MAGENTA).all(axis=-1).sum() > 3 * 200 * 200 / 2
    # Bars of the chart by joint, in the report's blue; and text all the way down.
    blue = (seen[..., 2] - seen[..., 0] > 80) & (seen[..., 0] < 80)
    assert blue.sum() > 2000
    dark_rows = np.flatnonzero((seen.max(axis=-1) < 80).any(axis=1))
    assert np.ptp(dark_rows) > 1200
