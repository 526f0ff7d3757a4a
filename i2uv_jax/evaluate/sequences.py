"""How steady predictions are over frames that follow each other.

Over every three frames in a row whose hands were found: the acceleration of each keypoint, wrist on
wrist, by second differences. Its mean is the jitter; of the true motion it is what a steady
prediction should have. The acceleration error is that of Kanazawa et al. (2019, "Learning 3D human
dynamics from video"). Metres per second squared.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from i2uv_jax.evaluate.sample import Sample, stacked
from i2uv_jax.evaluate.summary import Evaluation
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.metrics import acceleration, acceleration_error


def sequence_scores(evaluation: Evaluation) -> dict[str, float | int | None] | None:
    """Numbers over all sequences, ready for JSON; None where no three frames follow each other.

    What needs the truth is over the triples that have it, None without any.
    """
    benchmark = evaluation.benchmark
    rows = _triples(benchmark.samples, evaluation.found)
    if not len(rows):
        return None
    predicted = _about_wrist(np.stack([answer.keypoints for answer in evaluation.answers]))
    true = _about_wrist(stacked(benchmark.samples, "keypoints"))
    known = evaluation.has_keypoint_truth[rows].all(axis=1)
    fps = benchmark.frames_per_second
    frames, true_frames = _frames(predicted, rows), _frames(true, rows[known])
    own = {"jitter_m_s2": float(np.mean(acceleration(frames, fps)))}
    own |= {"true_jitter_m_s2": None, "acceleration_error_m_s2": None}
    if known.any():
        error = acceleration_error(_frames(predicted, rows[known]), true_frames, fps)
        own["true_jitter_m_s2"] = float(np.mean(acceleration(true_frames, fps)))
        own["acceleration_error_m_s2"] = float(np.mean(error))
    names = {benchmark.samples[row].frame_of[0] for row in rows[:, 0]}
    return {"sequences": len(names), "triples": len(rows), "frames_per_second": fps, **own}


def _triples(samples: list[Sample], found: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "t 3"]:
    """Places in the list of every three frames in a row."""
    place = {
        sample.frame_of: index
        for index, sample in enumerate(samples)
        if sample.frame_of is not None and found[index]
    }
    rows = [
        (index, place[name, number + 1], place[name, number + 2])
        for (name, number), index in place.items()
        if (name, number + 1) in place and (name, number + 2) in place
    ]
    return np.array(rows, int).reshape(-1, 3)


def _frames(
    points: Float[np.ndarray, "n 21 3"], rows: Int[np.ndarray, "t 3"]
) -> Float[np.ndarray, "3 p 3"]:
    """The triples side by side, as one sequence of three frames of many points."""
    return points[rows].swapaxes(0, 1).reshape(3, -1, 3)


def _about_wrist(keypoints: Float[np.ndarray, "n 21 3"]) -> Float[np.ndarray, "n 21 3"]:
    return keypoints - keypoints[:, WRIST, None]
