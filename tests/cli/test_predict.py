"""`i2uv predict` from the command line on: files, messages, exit codes.

One test runs a real (untrained) network; the others, about everything around it, a stand-in.
"""

import json
import struct
import zlib

import numpy as np
import pytest
import trimesh
from PIL import Image

from i2uv_jax.cli import hand_files, output_folder, predict
from i2uv_jax.cli.main import main
from i2uv_jax.inference import backends
from i2uv_jax.inference.predictor import Predictor, load_model

SUFFIXES = {".glb", ".png", ".json"}


@pytest.fixture
def run_real(tmp_path, tiny_model_path):
    """Runs the verb with the tiny model into tmp_path/out; gives the exit code."""

    def run_predict(*arguments, model=tiny_model_path, out=tmp_path / "out") -> int:
        words = ["predict", *map(str, arguments), "--out", str(out), "--model", str(model)]
        words += [] if "--backend" in words else ["--backend", "xla"]
        return main([*words, "--detector", "none"])

    return run_predict


@pytest.fixture
def run(run_real, fast_network):
    """The same with the stand-in for the network."""
    return run_real


def written(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def files_of(*stems: str, panel: bool = True) -> set[str]:
    suffixes = SUFFIXES if panel else SUFFIXES - {".png"}
    return {stem + suffix for stem in stems for suffix in suffixes}


def error_lines(capsys) -> list[str]:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return [line for line in captured.err.splitlines() if "error:" in line]


def test_fine_meshes_have_the_skin_s_relief(run_real, tmp_path, write_photo):
    photo = write_photo("hand.jpg", 80, 60)
    for name, options in (("plain", ()), ("fine", ("--fine",))):
        assert run_real(photo, *options, "--no-panel", model="small", out=tmp_path / name) == 0
    numbers, meshes = {}, {}
    for name in ("plain", "fine"):
        (numbers[name],) = json.loads((tmp_path / name / "hand.json").read_text())["hands"]
        meshes[name] = trimesh.load(tmp_path / name / "hand.glb", force="mesh")
    assert len(meshes["plain"].faces) == 3196
    assert len(meshes["fine"].faces) == 51136
    assert (numbers["plain"]["vertices"], numbers["fine"]["vertices"]) == (1609, 25609)
    # The same hand: millimetres of relief do not move its joints.
    distance = np.subtract(numbers["plain"]["keypoints_3d"], numbers["fine"]["keypoints_3d"])
    assert 0 < np.linalg.norm(distance, axis=-1).max() < 5


@pytest.mark.parametrize("options", [(), ("--fine",)])
def test_rigged_meshes_hang_on_joints(run_real, tmp_path, write_photo, options):
    words = [write_photo("hand.jpg", 80, 60), "--no-panel", "--rigged", *options]
    assert run_real(*words, "--hand", "left", model="small") == 0
    told = json.loads((tmp_path / "out" / "hand.json").read_text())
    (numbers,) = told["hands"]
    rotations = np.array(numbers["joint_rotations"])
    assert rotations.shape == (len(told["joint_names"]), 4) == (20, 4)
    assert len(numbers["keypoints_3d"]) == len(told["keypoint_names"]) == 21
    assert (told["joint_names"][0], told["keypoint_names"][8]) == ("wrist", "index_tip")
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1, atol=1e-4)
    content = (tmp_path / "out" / "hand.glb").read_bytes()
    (length,) = struct.unpack("<I", content[12:16])
    description = json.loads(content[20 : 20 + length])
    (skin,) = description["skins"]
    assert len(skin["joints"]) == 20
    triangles = description["accessors"][description["meshes"][0]["primitives"][0]["indices"]]
    assert triangles["count"] == 3 * (51136 if options else 3196)


def test_fine_maps_are_of_coarse_ones_of_the_size_it_learned_from(run_real, write_photo, capsys):
    assert run_real(write_photo("hand.jpg", 80, 60), "--fine") == 2
    (line,) = error_lines(capsys)
    assert "tiny.safetensors: the AffineNet gives maps of" in line
    assert "the SRNet was trained on those of 32 x 32" in line


def test_one_photo_gives_three_whole_files(
    run_real, tmp_path, write_photo, tiny_model_path, capsys
):
    photo = write_photo("hand.jpg", 80, 60)
    assert run_real(photo) == 0
    out = tmp_path / "out"
    assert written(out) == files_of("hand")

    numbers = json.loads((out / "hand.json").read_text())
    assert list(numbers) == [
        "image", "model", "width", "height", "seconds", "panel", "keypoint_names", "hands",
    ]  # fmt: skip
    assert numbers["image"] == str(photo)
    assert numbers["model"] == str(tiny_model_path)
    assert (numbers["width"], numbers["height"]) == (80, 60)
    assert 0 < numbers["seconds"] < 60
    (hand,) = numbers["hands"]
    assert list(hand) == [
        "handedness", "score", "box_xyxy", "keypoints_2d", "keypoints_3d", "mesh", "vertices",
    ]  # fmt: skip
    assert hand["handedness"] == "right"
    assert hand["score"] is None
    assert hand["box_xyxy"] == [0, 0, 80, 60]
    assert np.shape(hand["keypoints_2d"]) == (21, 2)
    assert np.shape(hand["keypoints_3d"]) == (21, 3)
    assert hand["keypoints_3d"][0] == [0, 0, 0]
    assert (hand["mesh"], hand["vertices"]) == ("hand.glb", 1609)

    (mesh,) = trimesh.load_scene(out / hand["mesh"]).geometry.values()
    assert len(mesh.faces) == 3196
    panel = Image.open(out / "hand.png")
    panel.load()
    assert panel.width > 5 * 250
    assert "1 of 1 photos done" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["onnx", "litert", "auto"])
def test_backends_give_the_same_hand(run_real, tmp_path, write_photo, capsys, monkeypatch, backend):
    for module in {"onnx": ["onnxruntime"], "litert": ["ai_edge_litert"]}.get(backend, []):
        pytest.importorskip(module, reason=f"needs the extra {backend}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photo = write_photo("hand.jpg", 80, 60)
    assert run_real(photo, "--hand", "left", "--backend", backend) == 0
    chosen = backends.choose_backend("auto")
    assert ("backend: " in capsys.readouterr().err) == (backend == "auto" and chosen != "xla")
    assert run_real(photo, "--hand", "left", out=tmp_path / "xla") == 0
    there, here = (
        json.loads((tmp_path / name / "hand.json").read_text())["hands"][0]["keypoints_3d"]
        for name in ("out", "xla")
    )
    np.testing.assert_allclose(there, here, atol=0.011)
    kept = [path.suffix for path in (tmp_path / "cache" / "i2uv_jax").glob("*.*")]
    assert backend == "auto" or kept == [f".{backend}"]
    # A damaged export is replaced.
    for path in (tmp_path / "cache" / "i2uv_jax").glob("*.*"):
        path.write_bytes(path.read_bytes()[:999])
    assert run_real(photo, "--backend", backend) == 0


@pytest.mark.parametrize(("chosen", "said"), [("xla", ""), ("litert", "backend: litert\n")])
def test_a_backend_is_named_where_it_is_not_the_usual_one(
    run, write_photo, capsys, monkeypatch, chosen, said
):
    monkeypatch.setattr(backends, "choose_backend", lambda wanted: chosen)
    monkeypatch.setattr(
        backends,
        "load_with_backend",
        lambda model, backend, batch_size: load_model(model, batch_size=batch_size),
    )
    assert run(write_photo("hand.jpg"), "--backend", "auto") == 0
    assert capsys.readouterr().err == said


def test_options_reach_the_prediction(run, tmp_path, write_photo):
    photo = write_photo("hand.png")
    assert run(photo, "--hand", "left", "--box", "-5", "10.5", "50", "40") == 0
    (hand,) = json.loads((tmp_path / "out" / "hand.json").read_text())["hands"]
    assert hand["handedness"] == "left"
    assert hand["box_xyxy"] == [-5, 10.5, 50, 40]


def test_batches_are_real_and_equal_single_photos(run, tmp_path, write_photo, monkeypatch):
    for index in range(5):
        write_photo(f"in/photo{index}.png", 50 + 10 * index, 60)
    sizes = []
    start = Predictor.start

    def counted(self, hands):
        sizes.append(len(hands))
        return start(self, hands)

    monkeypatch.setattr(Predictor, "start", counted)
    assert run(tmp_path / "in", "--batch", "4", out=tmp_path / "fours") == 0
    assert sizes == [4, 1]
    assert run(tmp_path / "in", "--batch", "1", out=tmp_path / "ones") == 0
    assert sizes == [4, 1] + [1] * 5
    assert written(tmp_path / "fours") == files_of(
        *(f"photo{index}" for index in range(5)), panel=False
    )
    for index in range(5):
        fours, ones = (
            json.loads((tmp_path / name / f"photo{index}.json").read_text())["hands"][0]
            for name in ("fours", "ones")
        )
        np.testing.assert_allclose(
            fours["keypoints_3d"], ones["keypoints_3d"], rtol=1e-2, atol=0.05
        )


@pytest.mark.parametrize(
    ("words", "with_panel"),
    [([], {"named"}), (["--panel"], {"named", "found"}), (["--no-panel"], set())],
)
def test_panels_are_for_photos_that_are_named_or_as_asked_for(
    run, tmp_path, write_photo, words, with_panel
):
    named = write_photo("named.png")
    write_photo("in/found.png")
    assert run(named, tmp_path / "in", *words) == 0
    assert written(tmp_path / "out") == {
        name for stem in ("named", "found") for name in files_of(stem, panel=stem in with_panel)
    }


def test_results_are_deterministic(run, tmp_path, write_photo):
    photo = write_photo("hand.png")
    assert run(photo, out=tmp_path / "first") == 0
    assert run(photo, out=tmp_path / "second") == 0
    for suffix in (".glb", ".png"):
        first, second = (
            (tmp_path / name / f"hand{suffix}").read_bytes() for name in ("first", "second")
        )
        assert first == second


def bomb_bytes() -> bytes:
    """A PNG whose header announces 50,000 x 50,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    data_chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return start + header + struct.pack(">I", zlib.crc32(header)) + data_chunk


def test_bad_photos_cost_a_line_each_and_the_others_are_done(run, tmp_path, write_photo, capsys):
    good = [write_photo("in/a_good.png"), write_photo("in/z_good.jpg")]
    broken = {
        "bomb.png": (bomb_bytes(), "too large"),
        "empty.jpg": (b"", "empty"),
        "text.png": (b"these are words", "not a picture"),
        "cut.jpg": (good[1].read_bytes()[:700], "cut off or damaged"),
    }
    for name, (content, _) in broken.items():
        (tmp_path / "in" / name).write_bytes(content)
    write_photo("in/tiny.png", 1, 1)
    missing = tmp_path / "in" / "missing.jpg"

    assert run(tmp_path / "in", missing, "--batch", "3") == 1
    assert written(tmp_path / "out") == files_of("a_good", "z_good", panel=False)
    captured = capsys.readouterr()
    assert "2 of 8 photos done" in captured.out and "6 failed" in captured.out
    lines = captured.err.splitlines()
    assert len(lines) == 6 and "Traceback" not in captured.err
    causes = {name: cause for name, (_, cause) in broken.items()}
    for name, cause in {**causes, "tiny.png": "1 x 1", "missing.jpg": "no such file"}.items():
        (line,) = [line for line in lines if str(tmp_path / "in" / name) in line]
        assert cause in line


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "CMYK", "P", "1", "LA"])
def test_unusual_pixels_are_fine(run, tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    values = np.random.default_rng(0).integers(0, 65536, (50, 60), dtype=np.uint16)
    deep = Image.fromarray(values)
    image = deep if mode == "I;16" else Image.fromarray((values // 256).astype(np.uint8))
    if mode != "I;16":
        image = image.convert("RGB").convert(mode) if mode != "LA" else image.convert("LA")
    image.save(tmp_path / f"odd.{suffix}")
    assert run(tmp_path / f"odd.{suffix}") == 0
    assert written(tmp_path / "out") == files_of("odd")


def test_exif_rotation_counts_for_width_and_height(run, tmp_path, write_photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert run(write_photo("turned.jpg", 80, 60, exif=exif)) == 0
    numbers = json.loads((tmp_path / "out" / "turned.json").read_text())
    assert (numbers["width"], numbers["height"]) == (60, 80)


def test_box_outside_one_photo_of_a_batch(run, tmp_path, write_photo, capsys):
    small, large = write_photo("small.png", 60, 60), write_photo("large.png", 200, 200)
    assert run(small, large, "--box", "100", "100", "180", "180") == 1
    (line,) = error_lines(capsys)
    assert str(small) in line and "outside the picture of 60 x 60 pixels" in line
    assert written(tmp_path / "out") == files_of("large")


@pytest.mark.parametrize("box", [["50", "10", "20", "40"], ["0", "0", "nan", "20"]])
def test_senseless_box(run, write_photo, capsys, box):
    assert run(write_photo("a.png"), "--box", *box) == 1
    assert len(error_lines(capsys)) == 1


def test_same_stem_in_two_formats_keeps_both(run, tmp_path, write_photo):
    assert run(write_photo("a.jpg"), write_photo("a.png")) == 0
    assert written(tmp_path / "out") == files_of("a_jpg", "a_png")


def test_photo_beside_its_results_survives(run, tmp_path, write_photo):
    photo = write_photo("hand.png")
    content = photo.read_bytes()
    assert run(photo, out=tmp_path) == 0
    assert photo.read_bytes() == content
    assert files_of("hand_png") <= written(tmp_path)


def test_folders_that_give_nothing(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 2
    (line,) = error_lines(capsys)
    assert str(tmp_path / "empty") in line and "no pictures" in line
    assert run(tmp_path / "missing") == 1
    (line,) = error_lines(capsys)
    assert str(tmp_path / "missing") in line and "no such file or folder" in line


def test_a_folder_without_pictures_costs_a_line_and_the_others_are_done(
    run, tmp_path, write_photo, capsys
):
    photo, empty = write_photo("in/hand.png"), tmp_path / "empty"
    empty.mkdir()
    assert run(empty, photo.parent) == 1
    assert written(tmp_path / "out") == files_of("hand", panel=False)
    captured = capsys.readouterr()
    assert "1 of 2 photos done" in captured.out and "1 failed" in captured.out
    (line,) = captured.err.splitlines()
    assert line.startswith(f"i2uv predict: error: {empty}: the folder holds no pictures (.jpg, ")


def test_models_that_cannot_be_loaded(run, tmp_path, write_photo, tiny_model_path, capsys):
    photo = write_photo("a.png")
    whole = tiny_model_path.read_bytes()
    models = {
        "cut.safetensors": whole[: len(whole) // 2],
        "empty.safetensors": b"",
        "photo.safetensors": photo.read_bytes(),
        "pickle.safetensors": b"\x80\x04\x95" + b"\0" * 200,
    }
    for name, content in models.items():
        (tmp_path / name).write_bytes(content)
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    names = [*models, "foreign.safetensors", "folder.safetensors", "missing.safetensors"]
    for name in names:
        assert run(photo, model=tmp_path / name) == 2, name
        (line,) = error_lines(capsys)
        assert str(tmp_path / name) in line
    assert run(photo, model="no-such-name") == 2
    (line,) = error_lines(capsys)
    assert "no model named 'no-such-name'" in line
    assert not (tmp_path / "out").exists()


def test_output_folders_that_cannot_be(run, tmp_path, write_photo, capsys, monkeypatch):
    photo = write_photo("a.png")
    assert run(photo, out=photo) == 2
    (line,) = error_lines(capsys)
    assert "is a file" in line
    assert run(photo, out=photo / "below") == 2
    assert len(error_lines(capsys)) == 1

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(output_folder, "write_atomically", refuse)
    assert run(photo) == 2
    (line,) = error_lines(capsys)
    assert "cannot be written to (Permission denied)" in line


def test_full_disk_costs_a_line(run, tmp_path, write_photo, capsys, monkeypatch):
    monkeypatch.setattr(predict, "make_output_folder", lambda folder: folder.mkdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hand_files, "write_atomically", full)
    assert run(write_photo("a.png")) == 1
    (line,) = error_lines(capsys)
    assert "No space left on device" in line
    assert written(tmp_path / "out") == set()


def test_ctrl_c_leaves_only_whole_files(run, tmp_path, write_photo, capsys, monkeypatch):
    photos = [write_photo(f"photo{index}.png") for index in range(3)]
    write = hand_files.write_atomically

    def interrupted(path, content):
        if path.name == "photo1.png":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(hand_files, "write_atomically", interrupted)
    assert run(*photos, "--batch", "2") == 130
    captured = capsys.readouterr()
    assert captured.err.strip() == "i2uv predict: interrupted, 1 of 3 photos done"
    # Its JSON, written last, says that a photo is complete; the third may have been at work.
    names = written(tmp_path / "out")
    assert names - files_of("photo2") == files_of("photo0") | {"photo1.glb"}


def test_out_of_memory_names_the_way_out(run, write_photo, capsys, monkeypatch):
    def exhausted(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 1 TB")

    monkeypatch.setattr(Predictor, "start", exhausted)
    assert run(write_photo("a.png")) == 1
    (line,) = error_lines(capsys)
    assert "RESOURCE_EXHAUSTED" in line and "--batch" in line


@pytest.mark.parametrize(
    "words",
    [
        ["predict"],
        ["predict", "a.png"],
        ["predict", "a.png", "--out", "o", "--hand", "both"],
        ["predict", "a.png", "--out", "o", "--box", "1", "2", "3"],
        ["predict", "a.png", "--out", "o", "--batch", "0"],
        ["predict", "a.png", "--out", "o", "--batch", "many"],
    ],
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_progress_bar_on_a_terminal(run, write_photo, capsys, monkeypatch):
    monkeypatch.setattr(predict.sys.stderr, "isatty", lambda: True, raising=False)
    assert run(write_photo("a.png"), write_photo("b.png")) == 0
    captured = capsys.readouterr()
    assert "2/2" in captured.err and "photo" in captured.err
    assert captured.out.count("\n") == 1  # only the summary


def test_json_is_compact_and_keeps_odd_names(run, tmp_path, write_photo):
    photo = write_photo('a [1,  2] "b" é.png')
    assert run(photo) == 0
    text = (tmp_path / "out" / f"{photo.stem}.json").read_text()
    assert json.loads(text)["image"] == str(photo)
    assert len(text.splitlines()) < 80  # one point a line, not one number
