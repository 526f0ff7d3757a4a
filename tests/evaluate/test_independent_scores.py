"""A benchmark's numbers against the same ones from SciPy in double precision, hand by hand.

Written from the description of the owners' evaluation in `i2uv_jax/evaluate/hand_scores.py`.
"""

import dataclasses

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import cKDTree

from i2uv_jax.evaluate.answers import Answer, no_answer
from i2uv_jax.evaluate.sample import Benchmark, Sample
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.geometry.keypoints import MIDDLE_MCP

TO = 1e-6
"""Metres. What counts distances up to a limit lies between what it is at limits so far apart."""
ROUNDING = 1e-6
"""Of means in single precision."""
NUM_HANDS = 5


def turn_and_size(source, target):
    """The best orthogonal matrix for the source at unit size, and how large it has to become."""
    own, other = source - source.mean(0), target - target.mean(0)
    size, goal = np.linalg.norm(own), np.linalg.norm(other)
    turn, share = orthogonal_procrustes(own / (size or 1), other / goal)
    return turn, share * goal


def similarity(source, target):
    """The best orthogonal map with scale, as a function of points that move along."""
    turn, goal = turn_and_size(source, target)
    size = np.linalg.norm(source - source.mean(0)) or 1
    return lambda points: (points - source.mean(0)) / size @ turn * goal + target.mean(0)


def as_scripts_move(mesh, source, target):
    """The mesh about its own middle, not divided by the source's size."""
    turn, goal = turn_and_size(source, target)
    middle = mesh.mean(0)
    return (mesh - middle) @ turn * goal + middle + target.mean(0) - source.mean(0)


def by_wrist_and_bone(source, target):
    bones = [np.linalg.norm(points[MIDDLE_MCP] - points[0]) for points in (source, target)]
    return (source - source[0]) * (bones[1] / bones[0] if bones[0] else 1) + target[0]


def area(distances, off):
    """Under the share of distances within 0, ..., 50 mm, by trapezoids over 100 places.

    Args:
      off: is added to the places.
    """
    places = np.linspace(0, 0.05, 100) + off
    heights = np.array([(np.concatenate(distances) <= place).mean() for place in places])
    return ((heights[1:] + heights[:-1]) / 2).mean()


def f_score(points, others, limit):
    precision = (cKDTree(others).query(points)[0] < limit).mean()
    recall = (cKDTree(points).query(others)[0] < limit).mean()
    return 2 * precision * recall / max(precision + recall, 1e-12)


def expected(true_keypoints, true_vertices, keypoints, vertices, *, same_topology):
    """The least and the most by the names of `summarize`: millimetres, areas, F-scores."""
    distances = {}
    scores = {}
    for true, true_mesh, own, mesh in zip(
        true_keypoints, true_vertices, keypoints, vertices, strict=True
    ):
        by_keypoints = similarity(own, true)
        moved = {
            "keypoint": (own, true),
            "keypoint_root": (own - own[0] + true[0], true),
            "keypoint_scaled": (by_wrist_and_bone(own, true), true),
            "keypoint_aligned": (by_keypoints(own), true),
        }
        meshes = {"f": mesh, "f_aligned": by_keypoints(mesh)}
        if same_topology:
            meshes["f_aligned"] = similarity(mesh, true_mesh)(mesh)
            moved["vertex"] = mesh, true_mesh
            moved["vertex_aligned"] = meshes["f_aligned"], true_mesh
        else:
            meshes["f_aligned_as_script"] = as_scripts_move(mesh, own, true)
        for name, (points, target) in moved.items():
            distances.setdefault(name, []).append(np.linalg.norm(points - target, axis=1))
        for name, points in meshes.items():
            for limit in (5, 15):
                found = [f_score(points, true_mesh, limit / 1000 + off) for off in (-TO, TO)]
                scores.setdefault(f"{name}_{limit}", []).append(found)
    numbers = {name: np.mean(found, axis=0) for name, found in scores.items()}
    for name, found in distances.items():
        numbers[f"{name}_mm"] = 1000 * (np.mean(found) + np.array([-TO, TO]))
        numbers[f"{name}_auc"] = np.array([area(found, off) for off in (-TO, TO)])
    return numbers


def hands(seed):
    """Keypoints and vertices of hands before a camera, in single precision."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(NUM_HANDS, 21 + 778, 3)) * [0.04, 0.06, 0.02]
    points = (spread + np.array([0, 0, 0.7])).astype(np.float32)
    return points[:, :21], points[:, 21:]


def near(points, seed):
    """The first hand mirrored, the others turned, scaled, moved and noisy."""
    rng = np.random.default_rng(seed)
    found = []
    for index, own in enumerate(points):
        turn = np.linalg.qr(np.eye(3) + 0.1 * rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.diag(turn))
        turn = turn * [-1, 1, 1] if index == 0 else turn
        noise = 0.006 * rng.normal(size=own.shape)
        found.append((1.1 * own @ turn + noise + [0.01, 0, -0.05]).astype(np.float32))
    return np.stack(found)


@pytest.mark.parametrize("same_topology", [True, False])
def test_all_numbers_of_a_benchmark_are_those_of_an_independent_implementation(same_topology):
    true_keypoints, true_vertices = hands(0)
    both = near(np.concatenate([true_keypoints, true_vertices], axis=1), 1)
    keypoints, vertices = both[:, :21], both[:, 21 : 21 + 778 if same_topology else 21 + 700]
    # One hand was not found, which counts as zeros.
    keypoints[3] = vertices[3] = 0
    answers = [Answer(*pair) for pair in zip(keypoints, vertices, strict=True)]
    answers[3] = no_answer("no hand found")
    samples = [
        Sample(str(index), None, *pair)
        for index, pair in enumerate(zip(true_keypoints, true_vertices, strict=True))
    ]
    benchmark = Benchmark("ho3d-v2", "HO-3D v2", samples, scales_and_shifts=True)
    scores = summarize(evaluate(benchmark, answers))["scores"]
    found = np.arange(NUM_HANDS) != 3
    for over, chosen in (("all", np.ones(NUM_HANDS, bool)), ("found", found)):
        arrays = (true_keypoints, true_vertices, keypoints, vertices)
        whole = (array[chosen].astype(np.float64) for array in arrays)
        numbers = expected(*whole, same_topology=same_topology)
        own = {name: value for name, value in scores[over].items() if value is not None}
        assert set(own) == set(numbers)
        for name, (least, most) in numbers.items():
            assert most - least < 3e-3
            assert least - ROUNDING <= own[name] <= most + ROUNDING, (over, name)
    assert 0.02 < scores["found"]["f_5"] < scores["found"]["f_aligned_5"] < 0.98


def test_a_hand_s_numbers_do_not_depend_on_the_hands_beside_it():
    true, mesh = hands(2)
    samples = [Sample(str(i), None, k, v) for i, (k, v) in enumerate(zip(true, mesh, strict=True))]
    answers = [Answer(*pair) for pair in zip(near(true, 3), near(mesh, 4), strict=True)]
    whole = Benchmark("freihand", "FreiHAND", samples)
    alone = dataclasses.replace(whole, samples=samples[2:3])
    together, single = evaluate(whole, answers).scores, evaluate(alone, answers[2:3]).scores
    for name, values in together.items():
        np.testing.assert_allclose(single[name][0], values[2], atol=TO)
