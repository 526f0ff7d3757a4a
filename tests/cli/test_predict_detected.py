"""`i2uv predict` where a detector says what is in the photo: any number of hands, or none."""

import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from i2uv_jax.cli.main import main
from i2uv_jax.inference import hand_detector
from i2uv_jax.inference.detected_hand import DetectedHand
from i2uv_jax.viewing.panel import TILE_PX

TWO = [
    DetectedHand((5.0, 5.0, 35.0, 35.0), "left", 0.9),
    DetectedHand((30.0, 20.0, 70.0, 60.0), "right", 0.5),
]


@pytest.fixture
def run(tmp_path, tiny_model_path, fast_network, monkeypatch):
    """Runs the verb with a detector that finds what it is told; gives what was asked of it."""
    asked = []

    class Detector:
        def __init__(self, hands):
            self.hands = hands

        def compile(self):
            pass

        def __call__(self, photo):
            asked.append(photo.shape)
            return self.hands

    def run_predict(*arguments, hands=TWO, out="out"):
        monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: Detector(hands))
        words = ["predict", *map(str, arguments), "--out", str(tmp_path / out)]
        words += [] if "--detector" in words else ["--detector", "heatmap"]
        assert main([*words, "--model", str(tiny_model_path), "--backend", "xla"]) == 0
        return asked

    return run_predict


def hands_of(folder, stem="hand") -> list[dict]:
    return json.loads((folder / f"{stem}.json").read_text())["hands"]


def test_two_hands_come_together_and_each(run, tmp_path, write_photo):
    run(write_photo("hand.png", 80, 60))
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert names == {"hand.glb", "hand_1.glb", "hand_2.glb", "hand.png", "hand.json"}
    hands = hands_of(out)
    assert [hand["handedness"] for hand in hands] == ["left", "right"]
    assert [hand["score"] for hand in hands] == [0.9, 0.5]
    assert [hand["box_xyxy"] for hand in hands] == [[5, 5, 35, 35], [30, 20, 70, 60]]
    assert [hand["mesh"] for hand in hands] == ["hand_1.glb", "hand_2.glb"]
    scene = trimesh.load_scene(out / "hand.glb")
    assert set(scene.graph.nodes_geometry) == {"hand_1", "hand_2"}
    places = [scene.graph[f"hand_{number}"][0][:3, 3] for number in (1, 2)]
    np.testing.assert_allclose(places[0], 0)
    # The second is drawn larger, so it is nearer: towards the viewer along glTF's z.
    assert places[1][2] > 0
    for number in (1, 2):
        (mesh,) = trimesh.load_scene(out / f"hand_{number}.glb").geometry.values()
        assert len(mesh.faces) == 3196
    with Image.open(out / "hand.png") as panel:
        assert panel.height > 4 * TILE_PX  # all hands at twice the size, then one by one


def test_of_all_hands_the_likeliest_are_taken_on_request(run, tmp_path, write_photo):
    run(write_photo("hand.png"), "--max-hands", "1")
    (hand,) = hands_of(tmp_path / "out")
    assert hand["score"] == 0.9


def test_the_given_hand_holds_against_the_detector(run, tmp_path, write_photo):
    run(write_photo("hand.png"), "--hand", "right")
    assert [hand["handedness"] for hand in hands_of(tmp_path / "out")] == ["right", "right"]


def test_in_a_given_box_only_the_side_is_looked_for(run, tmp_path, write_photo):
    # The box with its room is 64 pixels square, from (-2, -2) on.
    asked = run(write_photo("hand.png"), "--box", "10", "10", "50", "50")
    assert asked == [(60, 62, 3)]
    (hand,) = hands_of(tmp_path / "out")
    assert (hand["box_xyxy"], hand["handedness"]) == ([10, 10, 50, 50], "left")
    assert hand["score"] == 0.9 and hand["mesh"] == "hand.glb"
    # What is found beside the box is another hand.
    run(write_photo("hand.png"), "--box", "60", "5", "75", "15", out="other")
    (hand,) = hands_of(tmp_path / "other")
    assert (hand["handedness"], hand["score"]) == ("right", None)


def test_a_photo_without_a_hand_is_said_to_be_one(run, tmp_path, write_photo, capsys):
    photo = write_photo("hand.png")
    assert run(photo, hands=[]) == [(60, 80, 3)]
    assert hands_of(tmp_path / "out") == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"hand.json", "hand.png"}
    assert f"{photo}: no hand found" in capsys.readouterr().out


def test_numbers_of_hands_take_no_other_photo_s_name(run, tmp_path, write_photo):
    run(write_photo("a.png"), write_photo("a_1.png"), "--batch", "2")
    assert hands_of(tmp_path / "out", "a")[0]["mesh"] == "a_hand_1.glb"
    assert hands_of(tmp_path / "out", "a_1")[0]["mesh"] == "a_1_1.glb"


def test_a_second_run_leaves_no_results_of_the_first(run, tmp_path, write_photo):
    photo, out = write_photo("hand.png"), tmp_path / "out"
    run(photo)
    (out / "hand_7.glb").write_text("nobody's")
    run(photo, "--no-panel", hands=TWO[:1])
    assert {path.name for path in out.iterdir()} == {"hand.glb", "hand.json", "hand_7.glb"}
    run(photo, "--no-panel", hands=[])
    assert {path.name for path in out.iterdir()} == {"hand.json", "hand_7.glb"}


def test_a_second_run_spares_other_photos_results(run, tmp_path, write_photo):
    first, second, out = write_photo("a.png"), write_photo("a_1.png"), tmp_path / "out"
    run(first, "--no-panel")
    run(second, "--no-panel", hands=TWO[:1])  # in place of a hand of the first
    run(first, "--no-panel", hands=[])
    assert {path.name for path in out.iterdir()} == {"a.json", "a_1.glb", "a_1.json"}
    (out / "a.png").write_text("nobody's")
    run(first, "--no-panel", hands=[])
    assert (out / "a.png").exists()


def test_what_nobody_here_wrote_stays_whatever_its_name(run, tmp_path, write_photo):
    photo, out = write_photo("two.png"), tmp_path / "out"
    out.mkdir()
    (out / "two_1.glb").write_text("mine")  # before any run
    run(photo, "--no-panel")
    names = {"two.glb", "two.json", "two_1.glb", "two_hand_1.glb", "two_hand_2.glb"}
    assert {path.name for path in out.iterdir()} == names
    (out / "two_hand_2.glb").write_text("edited")  # in the place of a result
    (out / "two.png").write_text("mine, too")  # beside results without a panel
    run(photo, hands=TWO[:1])
    assert (out / "two_1.glb").read_text() == "mine"
    assert (out / "two_hand_2.glb").read_text() == "edited"
    assert (out / "two.png").read_text() == "mine, too"
    # With its panel the photo's results need another name.
    assert json.loads((out / "two_png.json").read_text())["panel"] == "two_png.png"
    (out / "two.png").unlink()
    run(photo, "--no-panel", hands=TWO[:1])
    assert not (out / "two_hand_1.glb").exists()
    assert (out / "two_hand_2.glb").read_text() == "edited"
    (out / "two.glb").write_text("edited")
    run(photo, "--no-panel", hands=TWO[:1])
    assert (out / "two.glb").read_text() == "edited"


def test_photos_of_one_run_share_no_numbered_meshes(run, tmp_path, write_photo):
    photos = [write_photo(name) for name in ("a.png", "a_1.png", "a_hand.png", "a_hand_2.png")]
    run(*photos, "--no-panel")
    meshes = [hand["mesh"] for photo in photos for hand in hands_of(tmp_path / "out", photo.stem)]
    assert len(set(meshes)) == 8
    assert all((tmp_path / "out" / mesh).exists() for mesh in meshes)


def test_runs_one_after_the_other_spare_each_other_s_numbered_meshes(run, tmp_path, write_photo):
    first, second = write_photo("a.png"), write_photo("a_hand.png")
    run(first, write_photo("a_1.png"), "--no-panel")
    run(second, first, "--no-panel")
    run(second, "--no-panel")
    meshes = [
        hand["mesh"] for stem in ("a", "a_1", "a_hand") for hand in hands_of(tmp_path / "out", stem)
    ]
    assert len(set(meshes)) == 6
    assert all((tmp_path / "out" / mesh).exists() for mesh in meshes)


@pytest.mark.usefixtures("fast_network")
@pytest.mark.parametrize(
    ("words", "in_parts"),
    [
        (["predict", "a.png"], True),
        (["predict", "a.png", "--no-small-hands"], False),
        (["track", "a.mp4"], True),
        (["track", "a.mp4", "--no-small-hands"], False),
    ],
)
def test_small_hands_are_looked_for_unless_refused(
    tmp_path, tiny_model_path, monkeypatch, words, in_parts
):
    asked = []

    def load_detector(path, **options):
        asked.append(options["in_parts"])
        raise ValueError("enough")

    monkeypatch.setattr(hand_detector, "load_detector", load_detector)
    words = [*words, "--out", str(tmp_path), "--model", str(tiny_model_path), "--backend", "xla"]
    assert main(words) == 2
    assert asked == [in_parts]


def test_a_detector_s_device_that_fails_is_one_line(
    tmp_path, write_photo, tiny_model_path, monkeypatch, capsys
):
    class Detector:
        def compile(self):
            pass

        def __call__(self, photo):
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(hand_detector, "load_detector", lambda path, **_: Detector())
    words = ["predict", str(write_photo("a.png")), "--out", str(tmp_path / "out")]
    words += ["--model", str(tiny_model_path), "--backend", "xla", "--detector", "heatmap"]
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the detector failed (RESOURCE_EXHAUSTED: Out of memory)" in line


def test_broken_detectors_are_one_line(tmp_path, write_photo, tiny_model_path, capsys):
    photo, cut = write_photo("a.png"), tmp_path / "cut.safetensors"
    cut.write_bytes(tiny_model_path.read_bytes()[:500])
    words = ["predict", str(photo), "--out", str(tmp_path / "out"), "--backend", "xla"]
    words += ["--model", str(tiny_model_path), "--detector"]
    for path, cause in {
        cut: "truncated",
        tiny_model_path: "not a model of this package",
        tmp_path / "missing.safetensors": "no such file",
    }.items():
        assert main([*words, str(path)]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
        assert str(path) in line and cause in line
    assert not (tmp_path / "out").exists()
