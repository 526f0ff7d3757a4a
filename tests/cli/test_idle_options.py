"""Options of `i2uv eval` that would do nothing beside others are refused."""

import pytest

from i2uv_jax.cli.main import main


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("synthetic --smooth", "--smooth"),
        ("synthetic --sequences 1 --count 3", "--count"),
        ("synthetic --split test", "--split"),
        ("synthetic --set sets --config tiny.py", "--config"),
        ("synthetic --set sets --skins skins", "--skins"),
        ("synthetic --set sets --render.sensor.strength=0", "--render.sensor.strength=0"),
        ("synthetic --surfaces 0 --articulated", "--articulated"),
        ("freihand --data archives --pred pred.json --detector palm", "--detector"),
        ("freihand --data archives --pred pred.json --batch 2", "--batch"),
        ("freihand --data archives --uv-template hand.obj", "--uv-template"),
        ("hic --data archives --surfaces 3", "--surfaces"),
        ("hic --data archives --articulated", "--articulated"),
        ("photos folder --pred pred.json --detector palm", "--detector"),
        ("photos folder --pred pred.json --batch 2", "--batch"),
        ("photos folder --model mediapipe --detector palm", "--detector"),
        ("photos folder --mediapipe-python python", "--mediapipe-python"),
    ],
)
def test_an_option_without_effect_is_refused_in_one_line(words, option, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["eval", *words.split(), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"i2uv eval: error: {option} does nothing with")
    assert not out.exists()


def test_a_model_that_takes_no_keypoints_needs_no_detector(tiny_model_path, tmp_path, capsys):
    words = ["synthetic", "--model", str(tiny_model_path), "--detector", "palm"]
    assert main(["eval", *words, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--detector does nothing with a model that takes no keypoints" in line
