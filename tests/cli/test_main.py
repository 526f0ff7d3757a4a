"""The command as a whole, and its small verbs."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import jax
import pytest

import i2uv_jax
from i2uv_jax.cli import main as main_module
from i2uv_jax.cli.main import main
from i2uv_jax.models.weights import load_model_file, save_model


def test_entry_point_runs_without_importing_jax():
    command = Path(sysconfig.get_path("scripts")) / "i2uv"
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"i2uv {i2uv_jax.__version__}\n"
    program = (
        "import sys; from i2uv_jax.cli.main import build_parser; build_parser();"
        "print(sorted({'jax', 'flax', 'numpy', 'PIL', 'tqdm'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "[]\n"


def test_missing_input_from_a_shell(tmp_path, tiny_model_path):
    words = [sys.executable, "-m", "i2uv_jax.cli.main", "predict", "none.jpg"]
    shown = subprocess.run(
        [*words, "--out", tmp_path / "out", "--model", tiny_model_path],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 1
    assert "i2uv predict: error: none.jpg: no such file or folder\n" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["demo", "--help"]])
def test_help(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    assert "usage: i2uv" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--nonsense"]])
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: i2uv" in capsys.readouterr().err


def test_a_name_that_is_no_utf_8_can_be_printed(monkeypatch):
    class Verb:
        @staticmethod
        def add_parser(subparsers):
            parser = subparsers.add_parser("show")
            parser.add_argument("name")
            parser.set_defaults(run=lambda args: print(args.name))

    written = io.BytesIO()
    monkeypatch.setattr(main_module, "_VERBS", (Verb,))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8"))
    main(["show", os.fsdecode(b"h\xff.jpg")])
    sys.stdout.flush()
    assert written.getvalue() == b"h\\udcff.jpg\n"


def test_info_of_a_file(tiny_model_path, capsys):
    assert main(["info", str(tiny_model_path)]) == 0
    table = capsys.readouterr().out
    assert "affine_net/encoder" in table and "total" in table
    assert main(["info", str(tiny_model_path), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["parameters"] == sum(part["parameters"] for part in described["parts"])
    assert described["flops"] == sum(part["flops"] for part in described["parts"]) > 0
    assert (described["image_size"], described["uv_map_size"]) == (64, 16)
    assert described["card"] == {"name": "tiny"}


def test_info_counts_every_look_at_an_image(tmp_path, tiny_model_path, capsys):
    config, variables, card = load_model_file(tiny_model_path)
    path = tmp_path / "two_looks.safetensors"
    save_model(path, dataclasses.replace(config, looks=2), variables, card)
    assert main(["info", str(path), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["flops_per_image"] == 2 * described["flops"] > 0
    for model, shown in ((path, True), (tiny_model_path, False)):
        assert main(["info", str(model)]) == 0
        assert ("image, 2 looks" in capsys.readouterr().out) == shown


def test_info_of_the_published_network(capsys):
    # The authors' PyTorch code: 43.9 M parameters and 44 GFLOP for a picture, SRNet's 9 included.
    assert main(["info", "published", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["parameters"] / 1e6 == pytest.approx(43.9, rel=0.01)
    assert described["flops"] / 1e9 == pytest.approx(44, rel=0.01)
    assert described["flops_per_image"] == described["flops"]


def test_info_of_no_model(capsys):
    assert main(["info", "no-such-model"]) == 2
    assert capsys.readouterr().err.startswith("i2uv info: error: no model named 'no-such-model'")


@pytest.mark.parametrize(
    ("platforms", "reason"),
    [
        # What JAX raises of a known platform without its plug-in says nothing.
        ("cuda", "(JAX knows none of them)"),
        ("nonsense", "(Unable to initialize backend 'nonsense'"),
    ],
)
def test_no_device_is_one_line(platforms, reason, tmp_path):
    command = [sys.executable, "-m", "i2uv_jax.cli.main", "info", "small"]
    environment = {**os.environ, "JAX_PLATFORMS": platforms}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert shown.returncode == 2
    (line,) = [line for line in shown.stderr.splitlines() if "WARNING" not in line]
    assert line.startswith(
        f"i2uv info: error: no device to compute on, JAX_PLATFORMS={platforms} asked for {reason}"
    )
    assert line.endswith("; JAX_PLATFORMS=cpu takes the CPU")


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (
            jax.errors.JaxRuntimeError("INTERNAL: ptxas fails\nat length"),
            "the device failed (INTERNAL: ptxas fails)",
        ),
        (RuntimeError("a mistake of ours"), None),
    ],
)
def test_a_device_that_fails_anywhere_is_one_line_and_a_mistake_is_none(
    raised, line, monkeypatch, capsys
):
    def run(args):
        raise raised

    monkeypatch.setattr(main_module.info, "run", run)
    if line is None:
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            main(["info"])
    else:
        assert main(["info"]) == 1
        assert capsys.readouterr().err == f"i2uv info: error: {line}\n"


@pytest.mark.parametrize(
    "words", [["info", "small", "--jso"], ["bench", "infer", "--jso"], ["demo", "--mod", "small"]]
)
def test_options_have_no_shorter_names(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert "unrecognized arguments" in capsys.readouterr().err
