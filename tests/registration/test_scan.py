"""Reading scans: every format gives the same surface, every bad file one line."""

import numpy as np
import pytest
import trimesh

from i2uv_jax.registration import scan as scan_module
from i2uv_jax.registration.scan import ScanError, read_scan


@pytest.fixture
def egg():
    mesh = trimesh.creation.icosphere(subdivisions=2)
    return trimesh.Trimesh(mesh.vertices * [1, 2, 3], mesh.faces, process=False)


def volume(scan):
    return trimesh.Trimesh(scan.vertices, scan.faces, process=False).volume


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb", ".stl", ".OBJ"])
def test_every_format_gives_the_same_surface(tmp_path, egg, suffix):
    path = tmp_path / f"egg{suffix}"
    path.write_bytes(_exported(egg, suffix))
    scan = read_scan(path)
    assert scan.faces.shape == (320, 3)
    assert volume(scan) == pytest.approx(egg.volume, rel=1e-4)


def test_triangles_that_face_inwards_are_turned(tmp_path, egg):
    egg.invert()
    (tmp_path / "egg.ply").write_bytes(_exported(egg, ".ply"))
    assert volume(read_scan(tmp_path / "egg.ply")) == pytest.approx(-egg.volume, rel=1e-4)


def test_the_meshes_of_a_scene_become_one(tmp_path, egg):
    scene = trimesh.Scene([egg])
    scene.add_geometry(egg, transform=trimesh.transformations.translation_matrix([9, 0, 0]))
    (tmp_path / "two.glb").write_bytes(scene.export(file_type="glb"))
    scan = read_scan(tmp_path / "two.glb")
    assert len(scan.faces) == 640
    assert np.ptp(scan.vertices[:, 0]) == pytest.approx(11, rel=0.01)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"v 0 0 0", "expected a mesh file (.obj, .ply, .glb, .stl)"),
        ("a.obj", b"", "the file is empty"),
        ("a.obj", b"nothing of the kind\n", "0 triangles, a hand needs at least"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "a.obj: "),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "1 triangles, a hand needs at least"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 9\n", "no readable PLY mesh"),
        ("a.glb", b"glTF\x02\x00\x00\x00garbage", "no readable GLB mesh"),
        ("a.stl", b"\x00" * 90, "a.stl: "),
        ("a.ply", bytes(range(256)) * 4, "no readable PLY mesh"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path / name)
    text = str(caught.value)
    assert str(tmp_path / name) in text and message in text and "\n" not in text


def test_missing_huge_and_pointless_meshes_are_refused(tmp_path, egg, monkeypatch):
    with pytest.raises(ScanError, match="cannot be read"):
        read_scan(tmp_path / "none.obj")
    path = tmp_path / "egg.ply"
    path.write_bytes(_exported(egg, ".ply"))
    monkeypatch.setattr(scan_module, "MAX_FACES", 300)
    with pytest.raises(ScanError, match="320 triangles, at most 300"):
        read_scan(path)
    monkeypatch.setattr(scan_module, "MAX_FILE_BYTES", 100)
    with pytest.raises(ScanError, match="MB, at most"):
        read_scan(path)


@pytest.mark.parametrize(("value", "message"), [(0.0, "no area"), (np.nan, "not finite")])
def test_vertices_must_make_a_surface(tmp_path, egg, value, message):
    broken = trimesh.Trimesh(np.full_like(egg.vertices, value), egg.faces, process=False)
    (tmp_path / "egg.ply").write_bytes(_exported(broken, ".ply"))
    with pytest.raises(ScanError, match=message):
        read_scan(tmp_path / "egg.ply")


def test_a_point_cloud_is_told_apart(tmp_path, egg):
    cloud = trimesh.PointCloud(egg.vertices)
    (tmp_path / "cloud.ply").write_bytes(cloud.export(file_type="ply"))
    with pytest.raises(ScanError, match="at least 100"):
        read_scan(tmp_path / "cloud.ply")


def _exported(mesh, suffix):
    content = mesh.export(file_type=suffix[1:].lower())
    return content.encode() if isinstance(content, str) else content
