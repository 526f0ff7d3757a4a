"""`i2uv eval synthetic` from the command line on; renderer and network are quick stand-ins."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import pytest
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.evaluate.answers import NOT_FINITE
from i2uv_jax.inference import program
from i2uv_jax.models.model_files import file_fingerprint


@pytest.mark.usefixtures("fast_network", "fast_renderer")
def test_rendered_hands_are_scored_and_their_surfaces_compared(tmp_path, tiny_model_path, capsys):
    words = ["eval", "synthetic", "--model", str(tiny_model_path), "--count=6", "--batch=4",
             "--surfaces=2", "--size=64"]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["pictures"] == metrics["found"] == metrics["with_keypoint_truth"] == 6
    assert metrics["scores"]["all"]["keypoint_aligned_mm"] > 0
    assert set(metrics["groups"]) == {"visible share", "view", "pose", "size", "age"}
    assert set(metrics["surfaces"]) == {"depth map", "predicted mesh"}
    # The sensor measures what it sees to a millimetre, and sees one side of a hand.
    depth_map = metrics["surfaces"]["depth map"]
    assert depth_map["to_truth_median_mm"] < 1 and depth_map["complete"] < 0.7
    assert metrics["pictures_of"] == "seed 7001"
    assert metrics["model_file"] == file_fingerprint(tiny_model_path)
    with Image.open(tmp_path / "out/worst.png") as worst:
        assert worst.size == (3 * 200 + 2 * 2, 2 * 200 + 2)  # six hands in rows of three
    assert (tmp_path / "out/report.html").read_text().count("<img") == 12
    assert "surface, depth map" in capsys.readouterr().out


@pytest.mark.usefixtures("fast_network", "fast_renderer")
def test_frames_of_moving_hands_are_scored_by_their_accelerations(
    tmp_path, tiny_model_path, capsys
):
    words = ["eval", "synthetic", "--model", str(tiny_model_path), "--sequences=2", "--batch=4",
             "--surfaces=0", "--size=64"]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["pictures"] == 8
    motion = metrics["motion"]
    # Four frames hold two times three in a row.
    assert (motion["sequences"], motion["triples"], motion["frames_per_second"]) == (2, 4, 30)
    # The stand-in turns a tenth of a radian a frame about an axis: w^2 r, w = 3 / s, r some cm.
    assert 0.1 < motion["true_jitter_m_s2"] < 9 * 0.1
    assert motion["acceleration_error_m_s2"] > 0 and motion["jitter_m_s2"] > 0
    assert "In motion" in (tmp_path / "out/report.html").read_text()
    assert "mean acceleration of the truth" in capsys.readouterr().out
    assert main([*words, "--smooth", "--out", str(tmp_path / "smooth")]) == 0
    smooth = json.loads((tmp_path / "smooth/metrics.json").read_text())
    assert smooth["motion"]["jitter_m_s2"] < 0.8 * motion["jitter_m_s2"]
    assert smooth["motion"]["true_jitter_m_s2"] == motion["true_jitter_m_s2"]


@pytest.mark.usefixtures("fast_network", "fast_renderer")
def test_hands_that_are_not_finite_are_counted_named_and_left_out_of_surfaces(
    tmp_path, tiny_model_path, monkeypatch, capsys
):
    whole = program.build_model

    def build_model(config):
        def apply(variables, image, keypoints=None, *, train, super_resolve=True):
            output = whole(config).apply(variables, image, keypoints, train=train)
            is_bright = image.mean(axis=(1, 2, 3)) > 0.5
            broken = jnp.where(is_bright[:, None, None, None], jnp.nan, output.uv_map)
            return output.replace(uv_map=broken)

        return SimpleNamespace(apply=apply, config=config)

    monkeypatch.setattr(program, "build_model", build_model)
    words = ["eval", "synthetic", "--model", str(tiny_model_path), "--count=6", "--batch=2",
             "--surfaces=6", "--size=64", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 1
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert 0 < metrics["found"] < 6
    ((reason, names),) = metrics["problems"]["predictions"].items()
    assert reason == NOT_FINITE and len(names) == 6 - metrics["found"]
    report = (tmp_path / "out/report.html").read_text()
    assert f"Means over {metrics['found']} hands" in report
    assert "NaN" not in (tmp_path / "out/metrics.json").read_text()
    assert f"error: {names[0]}: {reason}" in capsys.readouterr().err


def test_a_folder_without_a_set_is_one_line(tmp_path, tiny_model_path, capsys):
    words = ["eval", "synthetic", "--model", str(tiny_model_path), "--set", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no stored set" in line
