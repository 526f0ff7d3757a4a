"""How long a benchmark takes from a file of predictions to its report, whatever predicted."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.benchmark_page import benchmark_page
from i2uv_jax.evaluate.challenge_file import challenge_zip, read_challenge
from i2uv_jax.evaluate.sample import NUM_MANO_VERTICES, Benchmark, Sample
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.hand.asset import load_hand

_ERROR_M = 0.005
"""Standard deviation of each predicted coordinate."""


def evaluation_seconds(count: int) -> dict[str, float]:
    """Wall time of each step on hands with as many keypoints and vertices as FreiHAND's.

    The first step's compiling counts, as it does in `i2uv eval`; pictures are left out.
    """
    benchmark, answers = _made_up(count)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable):
        start = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - start
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pred.zip"
        path.write_bytes(challenge_zip(benchmark, answers))
        read = timed("read pred.zip", lambda: read_challenge(path, benchmark))
    evaluation = timed("score hands", lambda: evaluate(benchmark, read))
    summary = {"model": "pred.zip", **timed("summarise", lambda: summarize(evaluation))}
    timed("write report", lambda: benchmark_page(evaluation, summary, None))
    return seconds


def _made_up(count: int) -> tuple[Benchmark, list[Answer]]:
    """Turned hands of the right numbers of points, and predictions that are a little off."""
    hand = load_hand()
    rng = np.random.default_rng(0)
    points = np.concatenate(
        [hand.keypoint_regressor @ hand.template, hand.template[:NUM_MANO_VERTICES]]
    )
    samples, answers = [], []
    for index in range(count):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        true = (points @ turn + np.array([0, 0, 0.7])).astype(np.float32)
        found = (true + _ERROR_M * rng.normal(size=true.shape)).astype(np.float32)
        samples.append(Sample(f"{index:08d}", None, true[:NUM_KEYPOINTS], true[NUM_KEYPOINTS:]))
        answers.append(Answer(found[:NUM_KEYPOINTS], found[NUM_KEYPOINTS:]))
    return Benchmark("freihand", "FreiHAND's numbers of points", samples), answers
