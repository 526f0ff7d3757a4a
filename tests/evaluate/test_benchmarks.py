"""Official layouts in miniature: perfect predictions have no error, moved ones the exact one."""

import dataclasses
import json

import numpy as np
import pytest

from i2uv_jax.evaluate import benchmarks
from i2uv_jax.evaluate.answers import Answer
from i2uv_jax.evaluate.articulation import skinning_of
from i2uv_jax.evaluate.challenge_file import challenge_zip, read_challenge
from i2uv_jax.evaluate.hic_surfaces import measured_hands
from i2uv_jax.evaluate.predicted_surfaces import surface_table, surfaces_of_meshes
from i2uv_jax.evaluate.summary import evaluate, summarize
from i2uv_jax.evaluate.surfaces import Surface
from i2uv_jax.hand.mano import load_mano
from tests.archives import write_hic, write_hic_depth, write_ho3d_depth

ALL = pytest.mark.parametrize("benchmark", ["freihand", "ho3d", "hic"], indirect=True)


def answers_to(benchmark, change=lambda points: points):
    return [Answer(change(s.keypoints), change(s.vertices)) for s in benchmark.samples]


def through_a_file(benchmark, answers, tmp_path):
    path = tmp_path / "pred.zip"
    path.write_bytes(challenge_zip(benchmark, answers))
    return read_challenge(path, benchmark)


@ALL
def test_the_truth_has_no_error_also_through_the_challenge_s_file(benchmark, tmp_path):
    answers = through_a_file(benchmark, answers_to(benchmark), tmp_path)
    summary = summarize(evaluate(benchmark, answers))
    assert summary["problems"] == {"predictions": {}, "ground_truth": {}}
    for over in ("found", "all"):
        for name, value in summary["scores"][over].items():
            expected = 0 if name.endswith("_mm") else 1
            # The file holds micrometres, which are more than the first of the thresholds, 0.
            tolerance = 0.5 / 99 if name.endswith("_auc") else 2e-3
            assert value == pytest.approx(expected, abs=tolerance + 1e-6), name
    errors = summary["aligned_keypoint_mm_by_keypoint"].values()
    assert max(errors) < 2e-3


@ALL
def test_a_shift_is_the_error_until_hands_are_aligned(benchmark):
    # 10 mm: the thresholds are 0.5050... mm apart, and 80 of 100 reach it: from the 20th, 10.1.
    # Trapezoids: 0.5 (one half) + 79 whole of 99.
    answers = answers_to(benchmark, lambda points: points + np.float32([0.01, 0, 0]))
    scores = summarize(evaluate(benchmark, answers))["scores"]["all"]
    for kind in ("keypoint", "vertex"):
        assert scores[f"{kind}_mm"] == pytest.approx(10, abs=1e-3)
        assert scores[f"{kind}_auc"] == pytest.approx(79.5 / 99, abs=1e-6)
        assert scores[f"{kind}_aligned_mm"] == pytest.approx(0, abs=1e-3)
        assert scores[f"{kind}_aligned_auc"] > 0.99
    assert scores["keypoint_root_mm"] == pytest.approx(0, abs=1e-3)
    assert scores["f_aligned_5"] == 1


@pytest.mark.parametrize("benchmark", ["freihand"], indirect=True)
def test_the_official_alignment_forgives_a_mirrored_hand(benchmark):
    answers = answers_to(benchmark, lambda points: points * np.float32([-1, 1, 1]))
    scores = summarize(evaluate(benchmark, answers))["scores"]["all"]
    assert scores["keypoint_aligned_mm"] == pytest.approx(0, abs=1e-3)
    assert scores["vertex_aligned_mm"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("benchmark", ["ho3d"], indirect=True)
def test_ho3d_s_own_alignment_forgives_place_and_scale(benchmark):
    answers = answers_to(benchmark, lambda points: 2 * points + np.float32([0.3, 0, 0]))
    scores = summarize(evaluate(benchmark, answers))["scores"]["all"]
    assert scores["keypoint_scaled_mm"] == pytest.approx(0, abs=1e-3)
    assert scores["keypoint_root_mm"] > 10


@pytest.mark.parametrize("benchmark", ["ho3d"], indirect=True)
def test_ho3d_s_file_has_its_owners_order_and_axes(benchmark, ho3d, tmp_path):
    path = tmp_path / "pred.json"
    whole = [
        json.loads((ho3d / f"evaluation_{name}.json").read_text()) for name in ("xyz", "verts")
    ]
    assert np.array(whole[0])[..., 2].max() < 0, "the hand is on negative z"
    path.write_text(json.dumps(whole))
    scores = summarize(evaluate(benchmark, read_challenge(path, benchmark)))["scores"]["all"]
    assert scores["keypoint_mm"] == pytest.approx(0, abs=1e-3)
    assert scores["vertex_mm"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("benchmark", ["freihand"], indirect=True)
def test_a_missing_hand_counts_as_zeros_over_all_and_not_over_found(benchmark, tmp_path):
    answers = answers_to(benchmark)
    missing = dataclasses.replace(answers[1], problem="no hand found")
    answers = through_a_file(benchmark, [answers[0], missing, *answers[2:]], tmp_path)
    summary = summarize(evaluate(benchmark, answers))
    assert summary["problems"]["predictions"] == {"no hand found": ["00000001"]}
    assert summary["found"] == 3
    assert summary["scores"]["found"]["keypoint_mm"] == pytest.approx(0, abs=2e-3)
    # Zeros lie at the camera; after alignment, all at the true hand's middle.
    true = benchmark.samples[1].keypoints
    distance = 1000 * np.linalg.norm(true, axis=1).mean()
    spread = 1000 * np.linalg.norm(true - true.mean(0), axis=1).mean()
    scores = summary["scores"]["all"]
    assert scores["keypoint_mm"] == pytest.approx(distance / 4, rel=1e-4)
    assert scores["keypoint_aligned_mm"] == pytest.approx(spread / 4, rel=1e-3)


@pytest.mark.parametrize("benchmark", ["freihand"], indirect=True)
def test_a_mesh_of_another_topology_is_scored_by_its_surface(benchmark):
    # Every vertex twice: the same surface with other numbers.
    answers = [
        Answer(s.keypoints + np.float32(0.01), np.repeat(s.vertices + np.float32(0.01), 2, axis=0))
        for s in benchmark.samples
    ]
    scores = summarize(evaluate(benchmark, answers))["scores"]["all"]
    assert scores["vertex_mm"] is None and scores["vertex_aligned_auc"] is None
    assert scores["f_aligned_5"] == 1
    # The script's alignment shrinks the mesh by the size of the keypoints in metres.
    assert scores["f_aligned_as_script_5"] < 0.9


@pytest.mark.parametrize("articulated", [False, True])
def test_hic_s_depth_pictures_and_meshes_are_compared_with_its_fits(
    tmp_path, mano_path, articulated
):
    truths = write_hic(tmp_path, mano_path, 3)
    name = "01/000/right"
    write_hic_depth(tmp_path, name, truths[name], behind_m=0.004)
    mano = load_mano(mano_path)
    benchmark = benchmarks.hic_fits(tmp_path, mano)
    answers = answers_to(benchmark, lambda points: points + np.float32([0.01, 0, 0]))
    measured = measured_hands(benchmark.samples, answers, 10)
    (index,) = measured
    assert benchmark.samples[index].name == name
    table = surface_table(
        list(measured.values()),
        {"predicted mesh": surfaces_of_meshes([answers[index]], mano.faces, skinning_of(mano))},
        [Surface(benchmark.samples[index].vertices, mano.faces)],
        articulated=articulated,
    )
    # The sheet lies across the line of sight, give or take its bends.
    assert 2 < table["depth map"]["to_truth_mean_mm"] < 4.5
    for row in ("predicted mesh", "predicted mesh, articulated")[: 1 + articulated]:
        assert table[row]["to_truth_mean_mm"] == pytest.approx(0, abs=2e-2)
        assert table[row]["complete"] == table[row]["accurate"] == 1
    assert len(table) == 2 + articulated
    nothing = [dataclasses.replace(answer, vertices=None) for answer in answers]
    assert measured_hands(benchmark.samples, nothing, 10) == {}


def test_ho3d_s_scores_are_split_by_what_the_object_leaves_visible(ho3d, mano_path):
    mano = load_mano(mano_path)
    # The miniature's hand is a sheet, whose other side HO-3D's camera sees.
    mano = dataclasses.replace(mano, faces=mano.faces[:, ::-1])
    first, second = benchmarks.ho3d_evaluation(ho3d, "v3", mano).samples
    assert first.visible_share is second.visible_share is None, "no depth pictures yet"
    # A wall at 0.3 m before the left half of the first hand, before nothing of the second.
    for sample, hidden in ((first, 0.5), (second, 0.0)):
        photo = sample.photo
        across = photo.focal_px * sample.vertices[:, 0] / sample.vertices[:, 2]
        edge = np.quantile(across + photo.principal_px[0], hidden)
        depth = np.where(np.arange(640) < edge, 0.3, 2.0) * np.ones((480, 1))
        write_ho3d_depth(ho3d, f"evaluation/{sample.name}", depth)
    benchmark = benchmarks.ho3d_evaluation(ho3d, "v3", mano)
    assert benchmark.samples[0].visible_share == pytest.approx(0.5, abs=0.1)
    assert benchmark.samples[1].visible_share == pytest.approx(1, abs=0.02)
    answers = answers_to(benchmark)
    answers[0] = Answer(answers[0].keypoints[::-1], answers[0].vertices)
    groups = summarize(evaluate(benchmark, answers))["groups"]["visible share"]
    assert groups["up to two thirds visible"]["keypoint_aligned_mm"] > 1
    assert groups["more visible"]["keypoint_aligned_mm"] == pytest.approx(0, abs=1e-3)


def test_hic_s_depth_pictures_tell_what_is_visible_of_either_hand(tmp_path, mano_path):
    mano = load_mano(mano_path)
    for behind_m, share in ((0.0, 1), (-0.1, 0)):
        for name, truth in write_hic(tmp_path, mano_path, 2).items():
            write_hic_depth(tmp_path, name, truth, behind_m)
        samples = benchmarks.hic_fits(tmp_path, mano).samples
        assert {sample.is_left for sample in samples} == {False, True}
        for sample in samples:
            assert sample.visible_share == pytest.approx(share, abs=0.02)


def test_freihand_s_scores_are_split_by_what_the_hand_hides_of_itself(freihand, mano_path):
    samples = benchmarks.freihand(freihand, load_mano(mano_path)).samples
    assert all(0 <= sample.visible_share <= 1 for sample in samples)
    assert [s.visible_share for s in benchmarks.freihand(freihand).samples] == [None] * 4


@pytest.mark.parametrize(
    ("benchmark", "expected"),
    [
        ("freihand", [None] * 4),
        ("ho3d", [("SM1", 0), ("SM1", 1)]),
        ("hic", [("01/left", 1), ("01/right", 0)]),
    ],
    indirect=["benchmark"],
)
def test_frames_know_their_place_in_a_sequence(benchmark, expected):
    assert [sample.frame_of for sample in benchmark.samples] == expected


def test_what_is_wrong_with_predictions_and_truth_is_named(freihand, tmp_path):
    xyz = json.loads((freihand / "evaluation_xyz.json").read_text())
    verts = json.loads((freihand / "evaluation_verts.json").read_text())
    pred = tmp_path / "pred.json"
    not_finite = [[float("nan")] * 3] * 21
    pred.write_text(json.dumps([[xyz[0], xyz[1][:20], not_finite], verts]))
    (freihand / "evaluation_verts.json").write_text(json.dumps([verts[0], [[1, 2]], verts[2]]))
    benchmark = benchmarks.freihand(freihand)
    summary = summarize(evaluate(benchmark, read_challenge(pred, benchmark)))
    assert summary["problems"] == {
        "predictions": {
            "predicted keypoints: expected 21 x 3 numbers, got 20 x 3": ["00000001"],
            "predicted keypoints: not all numbers are finite": ["00000002"],
            "prediction: no entry": ["00000003"],
        },
        "ground_truth": {
            "evaluation_verts.json: expected 778 x 3 numbers, got 1 x 2": ["00000001"],
            "evaluation_verts.json: ends after 3 entries": ["00000003"],
        },
    }
    assert summary["found"] == 1
    assert summary["scores"]["found"]["vertex_mm"] == pytest.approx(0, abs=1e-3)


def test_frames_and_fits_that_cannot_be_read_are_named_by_what_is_wrong(ho3d, hic):
    (ho3d / "evaluation/SM1/rgb/0000.jpg").unlink()
    (ho3d / "evaluation/SM1/meta/0001.pkl").write_bytes(b"nothing")
    samples = benchmarks.ho3d_evaluation(ho3d, "v3").samples
    assert [sample.problem for sample in samples] == [
        "picture: no such file or folder",
        "meta: not a readable pickle of numbers (invalid load key, 'n'.)",
    ]
    # Their truth still counts, for predictions from a file.
    assert all(np.isfinite(sample.keypoints).all() for sample in samples)
    (fit,) = hic.glob("IJCV16*/*Hand_L*/*.pkl")
    fit.write_bytes(b"nothing")
    left, right = benchmarks.hic_fits(hic).samples
    assert left.problem.startswith("fit: not a readable pickle") and right.problem is None


def test_a_mesh_unlike_the_others_is_named_and_the_others_are_scored(freihand, tmp_path):
    xyz = json.loads((freihand / "evaluation_xyz.json").read_text())
    verts = json.loads((freihand / "evaluation_verts.json").read_text())
    pred = tmp_path / "pred.json"
    pred.write_text(json.dumps([xyz, [verts[0][:700], verts[1], [], verts[3]]]))
    benchmark = benchmarks.freihand(freihand)
    summary = summarize(evaluate(benchmark, read_challenge(pred, benchmark)))
    assert summary["problems"]["predictions"] == {
        "predicted vertices: 700, where most have 778": ["00000000"],
        "predicted vertices: expected n x 3 numbers, got 0": ["00000002"],
    }
    assert summary["found"] == 2
    assert summary["scores"]["found"]["vertex_mm"] == pytest.approx(0, abs=1e-3)


def test_without_any_truth_there_are_no_scores(freihand):
    (freihand / "evaluation_xyz.json").unlink()
    (freihand / "evaluation_verts.json").unlink()
    benchmark = benchmarks.freihand(freihand)
    answers = [Answer(np.ones((21, 3), np.float32), None)] * 4
    summary = summarize(evaluate(benchmark, answers))
    assert summary["problems"]["ground_truth"] == {
        "evaluation_xyz.json: no such file": [f"0000000{i}" for i in range(4)]
    }
    assert set(summary["scores"]["all"].values()) == {None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "expected two lists"),
        ("[[], ", "not a file of predictions"),
        (json.dumps([[[]] * 5, []]), "holds 5 and 0 entries for 4 pictures"),
    ],
)
def test_a_file_that_fits_nothing_is_one_line(freihand, tmp_path, content, message):
    path = tmp_path / "pred.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_challenge(path, benchmarks.freihand(freihand))


def test_more_truth_than_pictures_is_an_error(freihand):
    xyz = json.loads((freihand / "evaluation_xyz.json").read_text())
    (freihand / "evaluation_xyz.json").write_text(json.dumps(xyz * 2))
    with pytest.raises(ValueError, match="holds 8 entries for 4 pictures"):
        benchmarks.freihand(freihand)
