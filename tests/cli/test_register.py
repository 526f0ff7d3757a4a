"""`i2uv data register`: files in and out, with a stand-in for the fit itself."""

import json

import numpy as np
import pytest
import trimesh

from i2uv_jax.cli.main import main
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.registration import fitting
from i2uv_jax.registration.fitted_hand import fitted_hand_bytes, read_fitted_hand
from tests.registration.stand_in import StandIn

ATLAS = load_hand().atlas.fingerprint


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(fitting, "HandFitter", StandIn)
    monkeypatch.setattr(StandIn, "fitted", [])


@pytest.fixture
def scans(tmp_path):
    """Two meshes that pass, one that is no hand, one broken; and a file of another kind."""
    folder = tmp_path / "scans"
    folder.mkdir()
    many, few = trimesh.creation.icosphere(subdivisions=3), trimesh.creation.icosphere(2)
    many.export(folder / "a.ply")
    many.export(folder / "b.obj")
    few.export(folder / "ball.stl")
    (folder / "broken.glb").write_bytes(b"glTF")
    (folder / "notes.txt").write_text("not a mesh")
    return folder


def test_a_folder_gives_maps_meshes_and_a_report(tmp_path, scans, capsys):
    out = tmp_path / "new" / "out"
    assert main(["data", "register", str(scans), "--out", str(out)]) == 1
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert len(lines) == 2
    assert lines[0] == (
        f"i2uv data: error: {scans / 'ball.stl'}: "
        "no hand (mean distance 9.1 mm after fitting, limit 2.0 mm)"
    )
    assert "broken.glb: no readable GLB mesh" in lines[1]
    assert "a.ply: right hand at an adult's mean size, mean (95 %) distance in mm:" in output.out
    assert "scan to hand 0.31 (0.80), hand to scan 0.42 (1.25)" in output.out
    assert "2 of 4 scans done" in output.out and output.out.endswith("; 2 failed\n")
    assert sorted(path.name for path in out.iterdir()) == [
        "a.glb", "a.npz", "b.glb", "b.npz", "report.json"
    ]  # fmt: skip
    report = json.loads((out / "report.json").read_text())["scans"]
    assert report[str(scans / "a.ply")]["hand_to_scan_p95_mm"] == 1.25
    assert "no hand" in report[str(scans / "ball.stl")]["error"]

    fitted = read_fitted_hand(out / "a.npz", ATLAS)
    assert fitted.uv_map.shape == (256, 256, 3) and fitted.uv_map.dtype == np.float32
    assert 0.4 < fitted.seen_share < 0.6 and not fitted.is_left
    with np.load(out / "a.npz", allow_pickle=False) as arrays:
        assert int(arrays["format"]) == 1 and str(arrays["atlas"]) == ATLAS
    (mesh,) = trimesh.load_scene(out / "a.glb").geometry.values()
    assert len(mesh.faces) == len(subdivision_of(load_hand()).atlas.faces)


def test_what_is_done_is_left_out_unless_overwritten(tmp_path, scans, capsys):
    words = ["data", "register", str(scans / "a.ply"), "--out", str(tmp_path / "out")]
    assert main([*words, "--hand", "left", "--unit", "cm"]) == 0
    assert main(words) == 0
    assert "1 of 1 scans done (1 before)" in capsys.readouterr().out
    assert StandIn.fitted == [("left", "cm")]
    assert read_fitted_hand(tmp_path / "out" / "a.npz", ATLAS).handedness == "left"
    assert main([*words, "--overwrite"]) == 0
    assert StandIn.fitted == [("left", "cm"), ("auto", "auto")]
    (tmp_path / "out" / "a.npz").write_bytes(b"PK half of a file")
    assert main(words) == 1
    assert "not a readable fitted hand" in capsys.readouterr().err


def test_another_mesh_s_result_is_not_passed_off_as_this_one_s(tmp_path, scans, capsys):
    out = tmp_path / "out"
    register = ["data", "register", "--out", str(out)]
    assert main([*register, str(scans / "a.ply")]) == 0
    (tmp_path / "a.ply").write_bytes((scans / "b.obj").read_bytes())
    for words, message in (
        ([str(tmp_path / "a.ply")], f"is of another mesh than {tmp_path / 'a.ply'} as it is now"),
        ([str(scans / "a.ply"), "--hand", "left"], "is of a right hand"),
    ):
        assert main([*register, *words]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{out / 'a.npz'}: {message}; --overwrite makes it anew" in line
    assert len(StandIn.fitted) == 1


def test_maps_of_another_atlas_are_refused_wherever_they_are_read(tmp_path, scans, capsys):
    out = tmp_path / "out"
    register = ["data", "register", str(scans / "a.ply"), "--out", str(out)]
    build = ["data", "build", "--set", "uv_maps", "--archives", str(out)]
    build += ["--out", str(tmp_path / "sets")]
    train = ["train", "--config", "configs/small_srnet.py", "--out", str(tmp_path / "run")]
    train += [f"--data.sets={out}:1"]
    assert main(register) == 0
    path = out / "a.npz"
    with np.load(path, allow_pickle=False) as arrays:
        values = dict(arrays)
    np.savez(path, **{**values, "atlas": np.array("0123456789abcdef")})
    capsys.readouterr()
    for words, code in ((register, 1), (build, 2), (train, 2)):
        assert main(words) == code
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{path}: its UV maps are laid out on another chart (0123456789abcdef)" in line
    # Files from before that was kept.
    values.pop("atlas")
    np.savez(path, **values)
    assert main(register) == main(build) == 0
    assert fitted_hand_bytes(read_fitted_hand(path, ATLAS))


def test_the_report_keeps_what_earlier_commands_did(tmp_path, scans, capsys):
    out = tmp_path / "out"
    for name, code in (("ball.stl", 1), ("a.ply", 0)):
        assert main(["data", "register", str(scans / name), "--out", str(out)]) == code
    report = json.loads((out / "report.json").read_text())["scans"]
    assert list(report) == [str(scans / "ball.stl"), str(scans / "a.ply")]
    assert "1 of 1 scans done in" in capsys.readouterr().out
    for text in ("[]", "{", '{"scans": [1]}'):
        (out / "report.json").write_text(text)
        assert main(["data", "register", str(scans / "a.ply"), "--out", str(out)]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "no report" in line]
        assert "report.json: no report of scans, choose another --out" in line
        assert (out / "report.json").read_text() == text


def test_scans_of_one_stem_do_not_replace_each_other(tmp_path, scans):
    (scans / "a.obj").write_bytes((scans / "b.obj").read_bytes())
    files = [str(scans / name) for name in ("a.ply", "a.obj", "a.ply")]
    assert main(["data", "register", *files, "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").glob("*.npz")}
    assert names == {"a_ply.npz", "a_obj.npz"}


def test_interrupted_it_says_how_to_go_on(tmp_path, scans, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(StandIn, "fit", interrupted)
    assert main(["data", "register", str(scans), "--out", str(tmp_path / "out")]) == 130
    assert "0 of 4 scans done; the same command continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{tmp}/empty", "--out", "{tmp}/out"], 2, "holds no meshes (.obj, .ply, .glb, .stl)"),
        (["{tmp}/scans", "--out", "{tmp}/scans"], 2, "holds scans, choose another folder"),
        (["{tmp}/scans", "--out", "{tmp}/scans/a.ply"], 2, "is a file"),
        (["{tmp}/none.obj", "--out", "{tmp}/out"], 1, "none.obj: cannot be read"),
        (["{tmp}/scans/notes.txt", "--out", "{tmp}/out"], 1, "notes.txt: expected a mesh file"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, scans, capsys, words, code, message):
    (tmp_path / "empty").mkdir()
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert main(["data", "register", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("i2uv data: error: ") and message in line


def test_a_folder_without_meshes_costs_a_line_and_the_others_are_done(tmp_path, scans, capsys):
    (tmp_path / "empty").mkdir()
    words = [str(tmp_path / "empty"), str(scans / "a.ply"), "--out", str(tmp_path / "out")]
    assert main(["data", "register", *words]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"i2uv data: error: {tmp_path / 'empty'}: the folder holds no meshes")
    assert "1 of 1 scans done" in captured.out


def test_a_full_disk_costs_a_line(tmp_path, scans, capsys, monkeypatch):
    from i2uv_jax import atomic_file

    write = atomic_file.write_atomically

    def full(path, content):
        if str(path).endswith(".npz"):
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(atomic_file, "write_atomically", full)
    assert main(["data", "register", str(scans / "a.ply"), "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.ply: results cannot be written (No space left on device)" in line
