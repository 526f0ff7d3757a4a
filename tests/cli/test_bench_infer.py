"""`i2uv bench infer`: what it counts, what it prints, what it writes."""

import builtins
import json

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.inference.benchmark import PartSpeed
from i2uv_jax.measuring.device_peaks import Peaks, measured_peaks, peaks_of
from i2uv_jax.measuring.timing import Spread


def test_a_real_measurement(tiny_model_path, tmp_path, capsys):
    out = tmp_path / "speed.json"
    words = ["bench", "infer", "--model", str(tiny_model_path), "--batch", "1", "--runs", "3"]
    assert main([*words, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "whole, batch 1: p50" in shown and "measured here" in shown
    described = json.loads(out.read_text())
    rows = {row["part"]: row for row in described["rows"]}
    assert list(rows) == ["encoder", "decoder", "mesh", "whole"]
    whole = rows["whole"]
    milliseconds = whole["milliseconds"]
    assert 0 < milliseconds["fastest"] <= milliseconds["p50"] <= milliseconds["p99"]
    assert whole["images_per_second"] == pytest.approx(1000 / milliseconds["p50"], rel=0.01)
    # The parts' convolutions are the whole's.
    flops = {p: r["teraflops"] * r["milliseconds"]["p50"] for p, r in rows.items()}
    assert flops["encoder"] + flops["decoder"] == pytest.approx(flops["whole"], rel=0.1)
    assert rows["mesh"]["teraflops"] == 0
    assert described["versions"]["jax"]


def test_shares_by_hand():
    # 2 TFLOP in half a second on two devices of 10 TFLOP/s and 100 GB/s.
    speed = PartSpeed("whole", 4, Spread((0.5, 0.5, 2.0)), int(2e12), 2, accessed_bytes=20e9)
    peaks = Peaks({"float32": 10.0}, 100.0, "made up")
    assert speed.images_per_second == 8
    assert speed.share_of_peak(peaks, "float32") == pytest.approx(0.2)
    # Memory takes 0.2 s, arithmetic 0.1 s.
    assert speed.share_of_roofline(peaks, "float32") == pytest.approx(0.4)
    assert speed.runs.percentile(50) == 0.5


@pytest.mark.parametrize(
    ("kind", "precision", "teraflops"),
    [
        ("Tesla V100-SXM2-16GB", "float32", 15.7),
        ("Tesla V100-PCIE-16GB", "float32", 14.0),
        ("NVIDIA A100-SXM4-40GB", "tf32", 156),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989),
        ("NVIDIA H200", "bfloat16", 989),
        ("TPU v5 lite", "bfloat16", 197),
        ("TPU v5 lite", "float32", None),
        ("Tesla T4", "bfloat16", None),
        ("NVIDIA L40S", "float32", None),
        ("cpu", "float32", None),
    ],
)
def test_peaks_by_the_names_that_jax_gives(kind, precision, teraflops):
    peaks = peaks_of(kind, precision)
    assert (peaks and peaks.teraflops[precision]) == teraflops


def test_measured_ceilings_are_of_a_computer(monkeypatch):
    from i2uv_jax.measuring import device_peaks

    monkeypatch.setitem(device_peaks._MATRIX_SIDE, "cpu", 256)
    monkeypatch.setitem(device_peaks._COPY_BYTES, "cpu", 1 << 22)
    peaks = measured_peaks("float32", num_runs=2)
    assert 1e-4 < peaks.teraflops["float32"] < 100
    assert 0.01 < peaks.gigabytes_per_second < 1e5


def test_mistakes_are_one_line(tiny_model_path, tmp_path, capsys, monkeypatch):
    def error_of(*words):
        assert main(["bench", "infer", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "no model named 'nonesuch'" in error_of("--model", "nonesuch")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(tiny_model_path.read_bytes()[:5000])
    assert str(cut) in error_of("--model", str(cut))

    imported = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name.startswith("i2uv_jax.inference.torch_network"):
            raise ImportError("No module named 'torch'")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    words = ["--model", str(tiny_model_path), "--vs", "torch"]
    assert "needs the extra `bench`" in error_of(*words)
