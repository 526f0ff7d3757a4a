"""`i2uv export`: where its file goes, and without a comparison."""

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.inference.runtimes import open_export


@pytest.fixture
def run(tiny_model_path):
    def run_export(out):
        words = ["export", "--model", str(tiny_model_path), "--format", "stablehlo"]
        return main([*words, "--out", str(out), "--compare", "0"])

    return run_export


def test_without_hands_to_compare_on_nothing_is_rendered(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("i2uv_jax.evaluate.rendered_crops.rendered_crops", None)
    out = tmp_path / "new" / "hand.stablehlo"
    assert run(out) == 0
    assert capsys.readouterr().out.splitlines() == [f"{out}: {out.stat().st_size / 1e6:.1f} MB"]
    _, card = open_export(out)
    assert card["precision"] == "float32"


def test_a_folder_is_no_file(run, tmp_path, capsys):
    assert run(tmp_path) == 2
    assert f"--out {tmp_path}: is a folder, expected a file" in capsys.readouterr().err
