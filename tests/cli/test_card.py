"""`i2uv info --card` from the command line on: the file, its links, complaints."""

import json

import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.evaluate.generated import GENERATED
from i2uv_jax.models.model_files import WEIGHTS_DIRECTORY, file_fingerprint


@pytest.fixture
def evaluated(tmp_path, tiny_model_path):
    """Writes results of the tiny model into a folder; the picture's bytes are a stand-in."""

    def write(name, metrics):
        folder = tmp_path / name
        folder.mkdir()
        own = {"model_file": file_fingerprint(tiny_model_path), **metrics}
        (folder / "metrics.json").write_text(json.dumps(own))
        (folder / "worst.png").write_bytes(name.encode())
        return str(folder)

    return write


def test_generated_failures_are_copied_and_photos_linked(tmp_path, tiny_model_path, evaluated):
    generated = evaluated("hard", {"benchmark": GENERATED, "pictures": 1, "found": 1,
                                   "scores": {"all": {}}, "groups": {}})  # fmt: skip
    photos = evaluated("photos", {"pictures": 1, "failed": [], "error_over_box": 0.5})
    (tmp_path / "models").mkdir()
    card = tmp_path / "models" / "tiny.md"
    words = ["info", str(tiny_model_path), "--card", str(card), "--evaluation", generated, photos]
    assert main(words) == 0
    text = card.read_text()
    assert text.startswith("# tiny\n")
    assert "(tiny_hard_worst.png)" in text and "(../photos/worst.png)" in text
    assert (tmp_path / "models" / "tiny_hard_worst.png").read_bytes() == b"hard"
    assert sorted(path.name for path in card.parent.iterdir()) == ["tiny.md", "tiny_hard_worst.png"]


def test_what_cannot_be_written_is_one_line(tmp_path, tiny_model_path, evaluated, capsys):
    other = evaluated("other", {"error_over_box": 0.5, "model_file": "another"})
    twice = evaluated("photos", {"pictures": 1, "failed": [], "error_over_box": 0.5})
    model, card = str(tiny_model_path), str(tmp_path / "card.md")
    for words, message in (
        ([model, "--card", card, "--evaluation", other], "is of another model file"),
        ([model, "--card", card, "--evaluation", twice, twice], "folders of different names"),
        ([model, "--evaluation", twice], "--evaluation only goes with --card"),
        (["published", "--card", card], "has no weights"),
    ):
        assert main(["info", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert main(["info", model, "--card", str(tmp_path / "none" / "card.md")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert not (tmp_path / "card.md").exists()


def test_the_shipped_model_s_limits_stand_in_its_card(tmp_path):
    assert main(["info", "small", "--card", str(tmp_path / "small.md")]) == 0
    text = (tmp_path / "small.md").read_text()
    limits = (WEIGHTS_DIRECTORY / "small.limits.md").read_text()
    assert f"## Limits\n\n{limits}" in text
    assert "| licence | Apache-2.0" in text
