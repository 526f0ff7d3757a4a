"""`i2uv eval freihand`, `ho3d-v3` and `hic` from the command line on."""

import csv
import json
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest

from i2uv_jax.cli.main import main
from tests.archives import write_freihand
from tests.mano_files import write_mano


@pytest.fixture
def data(tmp_path):
    write_freihand(tmp_path / "data", write_mano(tmp_path / "MANO_RIGHT.pkl"), 3)
    return tmp_path / "data"


class Page(HTMLParser):
    """Checks that all elements are closed, and keeps what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.headings = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.sources += [named[name] for name in ("src", "href") if name in named]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "h2":
            self.headings.append(text)


def test_a_file_of_predictions(data, tmp_path, capsys):
    xyz = json.loads((data / "evaluation_xyz.json").read_text())
    verts = json.loads((data / "evaluation_verts.json").read_text())
    moved = (np.array(xyz) + np.array([0.01, 0, 0])).tolist()
    pred = tmp_path / "pred.json"
    pred.write_text(json.dumps([moved[:2], verts[:2]]))
    (data / "evaluation/rgb/00000000.jpg").unlink()
    out = tmp_path / "out"
    words = ["eval", "freihand", "--data", str(data), "--out", str(out), "--pred", str(pred),
             "--mano", str(tmp_path / "MANO_RIGHT.pkl")]  # fmt: skip
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "metrics.json", "report.html", "samples.csv"
    ]  # fmt: skip
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["model"] == "pred.json"
    assert metrics["scores"]["found"]["keypoint_mm"] == pytest.approx(10, abs=1e-3)
    assert metrics["scores"]["found"]["f_5"] == 1
    rows = list(csv.DictReader((out / "samples.csv").read_text().splitlines()))
    assert [row["problem"] for row in rows] == ["", "", "prediction: no entry"]
    assert float(rows[0]["keypoint_mm"]) == pytest.approx(10, abs=1e-3)
    assert rows[2]["keypoint_mm"] == ""
    page = Page((out / "report.html").read_text())
    assert {
        "Beside published results",
        "Keypoints",
        "Best",
        "Pictures without a prediction",
    } <= set(page.headings)
    assert page.sources and all(source.startswith("data:image/png") for source in page.sources)
    printed = capsys.readouterr().out
    assert "predictions: prediction: no entry: 1 (00000002)" in printed
    assert "keypoints, as they are" in printed


@pytest.mark.usefixtures("fast_network")
def test_a_model_s_submission_scores_as_the_model(data, tmp_path, tiny_model_path, capsys):
    (data / "evaluation/rgb/00000001.jpg").write_bytes(b"no picture")
    words = ["eval", "freihand", "--data", str(data)]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([*words, "--out", str(first), "--model", str(tiny_model_path)]) == 1
    assert "error: 00000001: picture: " in capsys.readouterr().err
    with zipfile.ZipFile(first / "pred.zip") as file:
        keypoints, vertices = json.loads(file.read("pred.json"))
    assert [len(part) for part in (keypoints, vertices, keypoints[0])] == [3, 3, 21]
    assert not np.any(keypoints[1])
    # The bone whose length FreiHAND tells has it.
    bone = np.array(keypoints[0][10]) - keypoints[0][9]
    assert np.linalg.norm(bone) == pytest.approx(0.03, abs=1e-5)
    assert main([*words, "--out", str(second), "--pred", str(first / "pred.zip")]) == 0
    scores = [json.loads((out / "metrics.json").read_text())["scores"] for out in (first, second)]
    for name, value in scores[0]["all"].items():
        assert scores[1]["all"][name] == (None if value is None else pytest.approx(value, abs=1e-2))
    assert scores[0]["all"]["vertex_mm"] is None


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("freihand", [], "evaluation_K.json: no such file or folder; FreiHAND is to be had at"),
        ("ho3d-v2", [], "evaluation.txt: no such file or folder; HO-3D v2 is to be had at"),
        ("hic", [], "no such file or folder; HIC is to be had at"),
        ("freihand", ["--mano", "none.pkl"], "none.pkl: "),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, capsys, verb, words, message):
    out = tmp_path / "out"
    assert main(["eval", verb, "--data", str(tmp_path), "--out", str(out), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not out.exists()
