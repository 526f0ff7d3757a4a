"""Folders of the user's pictures: what is read, what is refused and in which words."""

import jax
import numpy as np
import pytest
from PIL import Image

from i2uv_jax.render.picture_folder import load_picture_folder, sample_picture


def save(path, colour, size=(60, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_reads_formats_and_subfolders_by_name(tmp_path):
    save(tmp_path / "b.png", (0, 255, 0))
    save(tmp_path / "a.jpg", (255, 0, 0), size=(40, 90))
    save(tmp_path / "more" / "c.WEBP", (0, 0, 255))
    (tmp_path / "notes.txt").write_text("not a picture")
    pictures = load_picture_folder(tmp_path, size=24, limit=10)
    assert pictures.shape == (3, 24, 24, 3)
    assert pictures.dtype == np.uint8
    means = pictures.mean(axis=(1, 2))
    assert (means.argmax(axis=1) == [0, 1, 2]).all()


def test_limit_takes_pictures_from_the_whole_list(tmp_path):
    for number in range(10):
        save(tmp_path / f"{number}.png", (25 * number,) * 3)
    pictures = load_picture_folder(tmp_path, size=16, limit=3)
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], [0, 75, 150])


def test_keeps_the_middle_square(tmp_path):
    image = np.zeros((30, 90, 3), np.uint8)
    image[:, 30:60] = 255
    Image.fromarray(image).save(tmp_path / "wide.png")
    pictures = load_picture_folder(tmp_path, size=20, limit=1)
    assert pictures[0, :, 2:-2].min() > 240


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none", "none: no such folder"),
        (lambda folder: folder / "file.txt", "file.txt: not a folder"),
        (lambda folder: folder / "empty", "empty: no pictures in it"),
        (lambda folder: folder / "broken", "broken.jpg: "),
        (lambda folder: folder / "hollow", "hollow.png: the file is empty"),
    ],
)
def test_refuses_in_one_line_that_names_the_culprit(tmp_path, make, message):
    (tmp_path / "file.txt").write_text("x")
    for name in ("empty", "broken", "hollow"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "broken.jpg").write_bytes(b"\xff\xd8 and then nothing")
    (tmp_path / "hollow" / "hollow.png").write_bytes(b"")
    with pytest.raises(ValueError, match=message) as caught:
        load_picture_folder(make(tmp_path), size=16, limit=4)
    assert "\n" not in str(caught.value)


def test_pieces_differ_and_repeat_by_key():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    sample = jax.jit(lambda key: sample_picture(key, pictures, 16))
    first, second = sample(jax.random.key(0)), sample(jax.random.key(1))
    np.testing.assert_array_equal(first, sample(jax.random.key(0)))
    assert np.abs(first - second).mean() > 0.02
    assert 0 <= first.min() <= first.max() <= 1
