"""`i2uv eval freihand`, `ho3d-v3` and `hic` from the command line on."""

import csv
import json
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.evaluate import mano_models
from i2uv_jax.evaluate.mano_models import surface_map
from i2uv_jax.evaluate.visibility import POSES, VIEWS
from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.geometry.subdivision import subdivide_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.models.joining import load_fine_model
from i2uv_jax.models.weights import save_model
from tests.archives import write_freihand, write_hic, write_hic_depth
from tests.mano_files import hand_arrays, write_mano


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
    assert {row["pose"] for row in rows} <= set(POSES) and {row["view"] for row in rows} <= set(
        VIEWS
    )
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


@pytest.fixture
def mano_of_the_hand(tmp_path, monkeypatch):
    """MANO's file for a mesh on the package's own hand, to which no fit is needed."""
    hand = load_hand()
    content = hand_arrays()
    mesh, faces = content["v_template"], content["f"].astype(int)
    surface = subdivide_vertices(subdivision_of(hand), hand.template)
    normals = vertex_normals(mesh, faces)
    found = surface_map(hand, hand.template, surface, mesh, normals)
    monkeypatch.setattr(mano_models, "default_hand_to_mano", lambda hand, mano: found)
    return write_mano(tmp_path / "MANO_OF_HAND.pkl", content=content)


def compared_with_hic(tmp_path, mano_path, model):
    """metrics.json of a model on miniature HIC with depth pictures."""
    data, out = tmp_path / "hic", tmp_path / "out"
    for name, truth in write_hic(data, mano_path, 2).items():
        write_hic_depth(data, name, truth)
    words = ["eval", "hic", "--data", str(data), "--out", str(out), "--batch=2", "--articulated"]
    assert main([*words, "--mano", str(mano_path), "--model", str(model)]) == 0
    assert "Means over 2 hands" in (out / "report.html").read_text()
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.usefixtures("fast_network")
def test_a_model_s_surface_beside_hic_s(tmp_path, mano_of_the_hand, tiny_model_path, capsys):
    metrics = compared_with_hic(tmp_path, mano_of_the_hand, tiny_model_path)
    assert metrics["found"] == 2 and metrics["correspondence_mm"] < 0.5
    surfaces = metrics["surfaces"]
    assert list(surfaces) == ["depth map", "predicted mesh", "predicted mesh, articulated"]
    assert surfaces["depth map"]["to_truth_mean_mm"] < 1
    # The network sees the hand of the fits, but in no pose.
    rigid, turned = surfaces["predicted mesh"], surfaces["predicted mesh, articulated"]
    assert turned["to_truth_mean_mm"] < 0.7 * rigid["to_truth_mean_mm"]
    assert turned["complete"] > rigid["complete"]
    assert "surface, predicted mesh, articulated" in capsys.readouterr().out


@pytest.mark.slow
def test_the_default_model_s_surfaces_beside_hic_s(tmp_path, mano_of_the_hand):
    save_model(tmp_path / "small_fine.safetensors", *load_fine_model("small"))
    metrics = compared_with_hic(tmp_path, mano_of_the_hand, tmp_path / "small_fine.safetensors")
    stages = ("coarse mesh", "super-resolved mesh")
    surfaces = metrics["surfaces"]
    assert list(surfaces)[1:] == [row for s in stages for row in (s, f"{s}, articulated")]
    for stage in stages:
        # A picture of nothing gives some hand or other, whose joints can be turned.
        turned, rigid = surfaces[f"{stage}, articulated"], surfaces[stage]
        assert turned["to_truth_mean_mm"] < 0.9 * rigid["to_truth_mean_mm"]
        assert turned["from_truth_mean_mm"] < 0.6 * rigid["from_truth_mean_mm"]


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
