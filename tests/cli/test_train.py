"""`i2uv train` answers every bad argument with one line and exit code 2."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from jax.errors import JaxRuntimeError

from i2uv_jax.cli import train
from i2uv_jax.training import loop

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "configs" / "tiny.py")


def parse(*words):
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers())
    return parser.parse_args(["train", *words])


def test_unknown_options_become_overrides_in_both_spellings():
    args = parse("--train.seed=3", "--config", "a.py", "--optim.clip_norm", "none", "--resume")
    assert args.overrides == ["--train.seed=3", "--optim.clip_norm=none"]
    assert args.config == Path("a.py")
    assert args.resume


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --config FILE"),
        (["--config", "nowhere.py"], "nowhere.py: no such file"),
        (["--config", TINY, "--train.num_step=1"], "did you mean train.num_steps"),
        (["--config", TINY, "--train.num_steps=few"], "expected int, got 'few'"),
        (["--config", TINY, "--conifg=x"], "unknown config key conifg"),
        (["--config", TINY, "stray"], "override 'stray': expected --key=value"),
        (["--resume", "--out", "nowhere"], "nowhere is no run's folder"),
        (["--config", TINY, "--train.num_devices=99", "--out", "{tmp}"], "at most"),
        (["--config", TINY, "--loss.final_terms=uv_l3:1", "--out", "{tmp}"], "did you mean"),
    ],
)
def test_bad_argument_is_one_line_and_exit_code_2(tmp_path, capsys, words, message):
    args = parse(*(word.replace("{tmp}", str(tmp_path / "run")) for word in words))
    assert args.run(args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("i2uv train: error: ")
    assert message in lines[-1]
    assert len(lines) == 1


def test_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    args = parse("--config", TINY, "--train.num_devices=1", "--out", str(tmp_path / "file"))
    assert args.run(args) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line


def test_a_device_that_fails_is_one_line(tmp_path, capsys, monkeypatch):
    def fail(*_, **__):
        raise JaxRuntimeError(reason + ".\nWhere it was allocated: ...")

    monkeypatch.setattr(loop, "train", fail)
    args = parse("--config", TINY, "--out", str(tmp_path / "run"))
    reason = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"
    assert args.run(args) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"i2uv train: error: {reason}; train.microbatches and train.rematerialise need less memory"
    )
    reason = "DEADLINE_EXCEEDED: Barrier timed out"
    assert args.run(args) == 1
    assert capsys.readouterr().err == f"i2uv train: error: {reason}\n"


def test_launch_script_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "launch.train", "--config", "nowhere.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "nowhere.py: no such file" in done.stderr
    assert "Traceback" not in done.stderr
