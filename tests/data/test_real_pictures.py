"""Folders of real pictures, their crops and what is wrong with them."""

import json

import numpy as np
import pytest
from PIL import Image

from i2uv_jax.data.real_pictures import read_real_pictures


@pytest.fixture
def folder(tmp_path):
    """a.png: 60 x 40, red as far as x = 20, else blue; b.png: green."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.new("RGB", (50, 50), (0, 255, 0)).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def annotate(folder, entries):
    (folder / "annotations.json").write_text(json.dumps(entries))


def test_without_annotations_the_middle_square(folder):
    pictures = read_real_pictures(folder, 40)
    assert pictures.shape == (2, 40, 40, 3)
    # The square spans x = 10 to 50: ten red columns, thirty blue ones.
    assert np.all(pictures[0, :, :10] == [255, 0, 0])
    assert np.all(pictures[0, :, 10:] == [0, 0, 255])
    assert np.all(pictures[1] == [0, 255, 0])


def test_crops_to_boxes_within_the_photo(folder):
    # 16 pixels with a quarter of margin: 20, centred at x = 6, moved to begin at 0.
    annotate(
        folder,
        [{"file": "a.png", "box_xywh": [-2, 10, 16, 16]}, {"file": "b.png", "box_xywh": None}],
    )
    pictures = read_real_pictures(folder, 20)
    assert np.all(pictures[0] == [255, 0, 0])
    # A box as large as the photo: as much of it as a square takes in.
    annotate(folder, [{"file": "a.png", "box_xywh": [0, 0, 60, 40]}])
    assert np.all(read_real_pictures(folder, 40)[0, :, :10] == [255, 0, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("{}", "expected a list"),
        ("[3]", "entry 0 names no file"),
        (
            '[{"file": "a.png", "box_xywh": [1, 2, 3]}]',
            r"entry 0 \(a\.png\): expected 4 numbers as",
        ),
        ('[{"file": "a.png", "box_xywh": [1, 2, 3, 4]}]', "a.png: box 1 2 4 6: expected at least"),
        ('[{"file": "c.png"}]', "names c.png, which is not in the folder"),
    ],
)
def test_broken_annotations_are_one_line(folder, text, message):
    (folder / "annotations.json").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_real_pictures(folder, 16)
    assert str(folder / "annotations.json") in str(error.value)


def test_folders_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        read_real_pictures(tmp_path, 16)
    with pytest.raises(ValueError, match="none: cannot be listed"):
        read_real_pictures(tmp_path / "none", 16)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.jpg: not a picture"):
        read_real_pictures(tmp_path, 16)
