"""Accelerations over frames in a row, of motions that a pencil can differentiate."""

import numpy as np
import pytest

from i2uv_jax.evaluate.answers import Answer, no_answer
from i2uv_jax.evaluate.generated import generated_benchmark
from i2uv_jax.evaluate.sample import Sample
from i2uv_jax.evaluate.sequences import sequence_scores
from i2uv_jax.evaluate.summary import evaluate

HAND = 0.05 * np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)


def stretched(frame):
    """All keypoints fly off from the wrist by the square of the frame's number, in millimetres."""
    about = HAND - HAND[0]
    away = about / np.maximum(np.linalg.norm(about, axis=1, keepdims=True), 1e-9)
    return (HAND + 1e-3 * frame**2 * away + np.float32([0, 0, 0.5 + frame])).astype(np.float32)


def scored(numbers, answers, **known):
    samples = [
        Sample(str(n), None, frame_of=("one", n), **{name: make(n) for name, make in known.items()})
        for n in numbers
    ]
    return sequence_scores(evaluate(generated_benchmark(samples), answers))


def test_second_differences_over_frames_in_a_row():
    numbers = [3, 0, 1, 2, 7]
    still = [Answer(HAND)] * 5
    found = scored(numbers, still, keypoints=stretched)
    assert (found["sequences"], found["triples"]) == (1, 2)
    # Each keypoint but the wrist by 2 mm a frame squared, at 30 frames a second.
    expected = 20 / 21 * 0.002 * 30**2
    assert found["true_jitter_m_s2"] == pytest.approx(expected, rel=1e-3)
    assert found["acceleration_error_m_s2"] == pytest.approx(expected, rel=1e-3)
    assert found["jitter_m_s2"] == pytest.approx(0, abs=1e-4)


def test_a_perfect_prediction_moves_as_the_truth_wherever_it_is():
    answers = [Answer(stretched(n) + np.float32([n**3, 0, 0])) for n in range(4)]
    found = scored(range(4), answers, keypoints=stretched)
    assert found["acceleration_error_m_s2"] == pytest.approx(0, abs=2e-3)
    assert found["jitter_m_s2"] == pytest.approx(found["true_jitter_m_s2"], rel=1e-2)


def test_missing_hands_break_a_row_and_unknown_truth_leaves_the_jitter():
    answers = [Answer(stretched(n)) for n in range(4)]
    assert scored(range(4), [*answers[:2], no_answer("none"), answers[3]]) is None
    found = scored(range(4), answers)
    assert found["jitter_m_s2"] > 1
    assert found["true_jitter_m_s2"] is None and found["acceleration_error_m_s2"] is None


def test_pictures_of_no_sequence_have_no_motion():
    samples = [Sample(str(n), None) for n in range(3)]
    evaluation = evaluate(generated_benchmark(samples), [Answer(HAND)] * 3)
    assert sequence_scores(evaluation) is None
