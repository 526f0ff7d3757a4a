"""The ablation's runs, with a trainer that only notes what it was asked for."""

import json
import sys
from pathlib import Path

import pytest

from launch import ablate_data


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Runs the ablation with its two seeds; gives the commands it came to."""
    commands = []

    def run_i2uv(command):
        commands.append(command)
        out = Path(command[command.index("--out") + 1])
        out.mkdir(parents=True, exist_ok=True)
        if command[0] == "train":
            (out / "model.safetensors").touch()
        else:
            share = 0.25 if out.parent.name.endswith("_1") else 0.75
            names = ("error_over_box", "within_0.1_of_box", "auc_of_pck")
            (out / "metrics.json").write_text(json.dumps(dict.fromkeys(names, share)))
        return 0

    def run(*more, code=0):
        commands.clear()
        words = f"ablate_data --photos P --skins S --backgrounds B --left L --out {tmp_path}"
        monkeypatch.setattr(sys, "argv", [*words.split(), *more])
        assert ablate_data.main() == code
        return list(commands)

    monkeypatch.setattr(ablate_data, "run_i2uv", run_i2uv)
    return run


def test_every_run_goes_on_from_its_own_seeds_start(asked, tmp_path):
    trained = [command for command in asked() if command[0] == "train"]
    assert len(trained) == 2 * (1 + 6)  # a start; all four parts, each left out, none
    switches = {"--render.forearm.share=0", "--render.sensor.strength=0"}
    for seed, (start, everything, *others) in ((1, trained[:7]), (2, trained[7:])):
        assert all(f"--train.seed={seed}" in command for command in (start, everything, *others))
        assert not any("init_from" in word for word in start)
        onwards = f"--train.init_from={tmp_path / f'start_{seed}' / 'model.safetensors'}"
        assert all(onwards in command for command in (everything, *others))
        assert switches <= set(start)
        left_out = [set(command) & switches for command in (everything, *others)]
        assert sorted(map(len, left_out)) == [0, 0, 0, 1, 1, 2]
        assert not left_out[0]


def test_what_is_finished_is_kept_and_the_table_holds_means(asked, capsys):
    asked()
    first = capsys.readouterr().out
    assert "| everything | 0.500 (0.250, 0.750) |" in first
    assert asked() == []
    assert capsys.readouterr().out == first


def test_runs_of_other_settings_are_not_taken_for_these(asked, capsys):
    asked()
    assert asked("--steps", "700", code=2) == []
    assert "this ablation was begun with another steps" in capsys.readouterr().err
    # More seeds only add runs.
    assert {"train", "eval"} == {command[0] for command in asked("--seeds", "1", "2", "3")}
