"""What photos a command line names, and that no result replaces another file."""

from pathlib import Path

import pytest

from i2uv_jax.cli.failure import CommandError
from i2uv_jax.cli.photo_list import list_photos


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def named(photos) -> dict[str, str]:
    return {photo.path.name: photo.stem for photo in photos}


def test_folder_gives_its_pictures_sorted(tmp_path):
    touch(tmp_path / "in", "b.JPG", "a.png", "c.webp", "notes.txt", "annotations.json", "._a.png")
    touch(tmp_path / "in", "d.HEIC")  # which is then said to be unreadable, not left out
    (tmp_path / "in" / "deeper").mkdir()
    (tmp_path / "in" / "folder.png").mkdir()
    photos = list_photos([tmp_path / "in"], tmp_path / "out")
    assert [photo.path.name for photo in photos] == ["a.png", "b.JPG", "c.webp", "d.HEIC"]


def test_plain_stems_are_kept_and_doubles_counted_once(tmp_path, capsys):
    a, b = touch(tmp_path / "in", "a.jpg", "b.jpg")
    photos = list_photos([b, a, tmp_path / "in", tmp_path / "in" / ".." / "in" / "a.jpg"], tmp_path)
    assert [(photo.path, photo.stem) for photo in photos] == [(b, "b"), (a, "a")]
    assert capsys.readouterr().err == ""


def test_photos_are_named_by_themselves_or_with_their_folder(tmp_path):
    a, _ = touch(tmp_path / "in", "a.jpg", "b.jpg")
    photos = list_photos([tmp_path / "in", a], tmp_path)
    assert [(photo.stem, photo.is_named) for photo in photos] == [("a", True), ("b", False)]


def test_same_stem_takes_the_suffix(tmp_path, capsys):
    paths = touch(tmp_path / "in", "a.jpg", "a.png", "b.jpg", "A.webp")
    assert named(list_photos(paths, tmp_path / "out")) == {
        "a.jpg": "a_jpg",
        "a.png": "a_png",
        "b.jpg": "b",
        "A.webp": "A_webp",
    }
    assert "a_png.*" in capsys.readouterr().err


def test_same_name_in_two_folders_and_a_taken_name(tmp_path):
    first = touch(tmp_path / "x", "a.jpg")
    second = touch(tmp_path / "y", "a.jpg", "a_jpg.png")
    photos = list_photos(first + second, tmp_path / "out")
    assert [photo.stem for photo in photos] == ["a_jpg_2", "a_jpg_3", "a_jpg"]


def test_an_input_is_never_overwritten(tmp_path):
    (photo,) = touch(tmp_path / "in", "hand.png")
    assert named(list_photos([photo], tmp_path / "in")) == {"hand.png": "hand_png"}
    jpeg, panel = touch(tmp_path / "in", "other.jpg", "other_jpg.png")
    stems = named(list_photos([jpeg, panel], tmp_path / "in"))
    assert stems["other_jpg.png"] not in ("other_jpg", stems["other.jpg"])


def test_folders_that_cannot_be_inputs(tmp_path):
    touch(tmp_path / "texts", "a.txt")
    with pytest.raises(CommandError, match="holds no pictures"):
        list_photos([tmp_path / "texts"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=r"texts: the folder holds no pictures.*; .*empty: the"):
        list_photos([tmp_path / "texts", tmp_path / "empty", tmp_path / "texts"], tmp_path / "out")
    touch(tmp_path / "in", "a.png")
    with pytest.raises(CommandError, match="also an input folder"):
        list_photos([tmp_path / "in"], tmp_path / "in")


def test_a_folder_without_pictures_beside_photos_is_one_problem_in_its_place(tmp_path, capsys):
    (photo,) = touch(tmp_path / "in", "hand.png")
    folder = tmp_path / "hand"
    folder.mkdir()
    bad, good = list_photos([folder, photo, folder], tmp_path / "out")
    assert bad.path == folder and "holds no pictures" in bad.problem
    # The folder gets no results, so its name takes none away.
    assert (good.path, good.stem, good.problem) == (photo, "hand", None)
    assert capsys.readouterr().err == ""


def test_files_that_are_no_results_are_not_replaced(tmp_path, capsys):
    (photo,) = touch(tmp_path / "in", "keep.jpg")
    out = tmp_path / "out"
    for name, content in (
        ("keep.json", b"{}"),
        ("keep.png", b"a picture of mine"),
        ("keep.glb", b"glTF of mine"),
    ):
        touch(out)
        (out / name).write_bytes(content)
        assert named(list_photos([photo], out)) == {"keep.jpg": "keep_jpg"}
        assert "results are named keep_jpg.*" in capsys.readouterr().err
        (out / name).unlink()
    (out / "keep.json").write_bytes(b'{\n "image": "keep.jpg",\n "panel": "keep.png"\n}')
    (out / "keep.png").write_bytes(b"the panel of a run before")
    assert named(list_photos([photo], out)) == {"keep.jpg": "keep"}
    (out / "keep.json").write_bytes(b'{\n "image": "keep.jpg",\n "panel": null\n}')
    assert named(list_photos([photo], out)) == {"keep.jpg": "keep_jpg"}
