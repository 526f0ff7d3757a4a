"""`i2uv bench eval`: seconds of each step."""

import json

from i2uv_jax.cli.main import main


def test_steps_add_up(capsys):
    assert main(["bench", "eval", "--count=3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hands"] == 3
    assert list(found["seconds"]) == ["read pred.zip", "score hands", "summarise", "write report"]
    assert found["total_seconds"] == sum(found["seconds"].values()) > 0
    assert main(["bench", "eval", "--count=3"]) == 0
    assert "3 hands" in capsys.readouterr().out
