"""`i2uv bench export` on an untrained network: its rows, its table, what a missing runtime does."""

import json
import sys

import pytest

from i2uv_jax.cli.main import main

FILES = [
    "StableHLO", "ONNX", "LiteRT", "LiteRT, `--int8`", "LiteRT, `--int8 convolutions`"
]  # fmt: skip


@pytest.fixture
def run(tiny_model_path, fast_renderer):
    """Runs the verb on three hands; gives the exit code."""

    def run_bench(*words):
        return main(["bench", "export", "--model", str(tiny_model_path), "--compare=3", *words])

    return run_bench


@pytest.fixture
def without_extras(monkeypatch):
    """Neither `onnx` nor `litert` is installed."""
    for module in ("onnx_model", "litert_graph"):
        monkeypatch.setitem(sys.modules, f"i2uv_jax.inference.{module}", None)


def test_every_export_is_compared(run, capsys):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    assert run("--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["left_out"] == {} and described["hands"] == 3
    rows = {row["file"]: row for row in described["exports"]}
    assert list(rows) == FILES
    assert [row["batch"] for row in rows.values()] == [None, None, 1, 1, 1]
    assert [row["aim_mm"] for row in rows.values()] == [0.01, 0.01, 0.01, 1, 1]
    for name in FILES[:3]:
        assert rows[name]["mean_mm"] < rows[name]["aim_mm"]
        assert rows[name]["error_mm"] == pytest.approx(described["jax_error_mm"], abs=0.01)
    for row in rows.values():
        assert row["mean_mm"] <= row["largest_mm"]
    assert rows[FILES[3]]["megabytes"] < rows["LiteRT"]["megabytes"]
    assert rows[FILES[3]]["mean_mm"] > rows["LiteRT"]["mean_mm"]


def test_missing_extras_leave_rows_out_and_are_named(run, without_extras, capsys):
    assert run() == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "3 rendered hands, keypoints told of 0; JAX itself is off by" in lines[0]
    assert len(lines) == 5  # A line, an empty one, headings, a rule and a row.
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    # The network takes no keypoints, so that none are told.
    assert (cells[0], cells[2], cells[4], cells[5]) == ("StableHLO", "any", "< 0.01 mm", "-")
    assert cells[3] == cells[6]
    onnx, litert = [line for line in captured.err.splitlines() if line.startswith("left out: ")]
    assert onnx.startswith("left out: ONNX: ") and "--extra onnx" in onnx
    assert litert.startswith(f"left out: {'; '.join(FILES[2:])}: ") and "--extra litert" in litert


def test_a_seed_decides_which_hands_are_compared(run, without_extras, capsys):
    def error_of(*words):
        assert run("--json", *words) == 0
        return json.loads(capsys.readouterr().out)["jax_error_mm"]

    assert error_of("--seed=1") == error_of("--seed=1") != error_of("--seed=2")


def test_mistakes_are_one_line(run, capsys):
    assert run("--model", "nonesuch") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("i2uv bench: error: no model named 'nonesuch'")
    with pytest.raises(SystemExit):
        run("--compare=0")
    assert "expected a whole number of at least 1, got '0'" in capsys.readouterr().err
