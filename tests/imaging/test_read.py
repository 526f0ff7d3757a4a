"""Every kind of picture file gives its right pixels or one clear line."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from i2uv_jax.imaging import read
from i2uv_jax.imaging.read import ImageError, read_photo

WIDTH, HEIGHT = 24, 20


def gradient() -> np.ndarray:
    """(20, 24, 3) uint8; red grows to the right, green downwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns * 10, rows * 12, np.full_like(rows, 40)], -1).astype(np.uint8)


def save(tmp_path, image: Image.Image, name: str, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def assert_one_line(error: pytest.ExceptionInfo, path, cause: str) -> None:
    message = str(error.value)
    assert message.startswith(str(path))
    assert cause in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "A.PNG"])
def test_lossless_colour_is_exact(tmp_path, name):
    path = save(tmp_path, Image.fromarray(gradient()), name)
    photo = read_photo(path)
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, gradient())


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.avif", "a.jp2"])
def test_lossy_colour_is_close(tmp_path, name):
    path = save(tmp_path, Image.fromarray(gradient()), name, quality=95)
    assert np.abs(read_photo(path).astype(int) - gradient()).mean() < 6


def test_file_type_is_known_by_content_not_by_name(tmp_path):
    path = save(tmp_path, Image.fromarray(gradient()), "a.png")
    renamed = path.rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_photo(renamed), gradient())


def test_greyscale_fills_three_channels(tmp_path):
    grey = gradient()[..., 0]
    photo = read_photo(save(tmp_path, Image.fromarray(grey), "a.png"))
    np.testing.assert_array_equal(photo, np.repeat(grey[..., None], 3, -1))


def test_black_and_white_bitmap(tmp_path):
    bits = gradient()[..., 0] > 100
    photo = read_photo(save(tmp_path, Image.fromarray(bits), "a.png"))
    np.testing.assert_array_equal(photo[..., 1], bits * 255)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm"])
def test_sixteen_bit_greyscale_keeps_its_range(tmp_path, name):
    # 65535 -> 255, 0 -> 0, 0x8080 = 128 * 257 -> 128; taking low bytes or clipping would not.
    deep = np.full((HEIGHT, WIDTH), 0x8080, np.uint16)
    deep[0, 0], deep[0, 1] = 65535, 0
    photo = read_photo(save(tmp_path, Image.fromarray(deep), name))
    assert photo[0, 0].tolist() == [255] * 3
    assert photo[0, 1].tolist() == [0] * 3
    assert photo[1, 1].tolist() == [128] * 3


def png_bytes(width: int, height: int, depth: int, colour_type: int, data: bytes) -> bytes:
    """A PNG written chunk by chunk, for kinds that Pillow reads but does not write."""

    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND", b""),
        ]
    )


def test_sixteen_bit_colour(tmp_path):
    row = b"\x00" + struct.pack(">3H", 0x2020, 0x8080, 0xFFFF) * WIDTH
    path = tmp_path / "deep.png"
    path.write_bytes(png_bytes(WIDTH, HEIGHT, 16, 2, row * HEIGHT))
    photo = read_photo(path)
    assert photo.shape == (HEIGHT, WIDTH, 3)
    assert photo[3, 3].tolist() == [0x20, 0x80, 0xFF]


def test_transparency_shows_white(tmp_path):
    colours = np.dstack([gradient(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    colours[:5, :, 3] = 0
    colours[5:10] = (0, 100, 200, 51)  # 20 % opaque: 0.8 * 255 + 0.2 * value
    photo = read_photo(save(tmp_path, Image.fromarray(colours), "a.png"))
    assert (photo[:5] == 255).all()
    np.testing.assert_allclose(photo[7, 7], [204, 224, 244], atol=1)
    np.testing.assert_array_equal(photo[10:], gradient()[10:])


def test_the_deep_grey_that_stands_for_transparency_shows_white(tmp_path):
    values = np.full((20, 20), 1000, np.uint16)
    values[:, 10:] = 25700
    photo = read_photo(save(tmp_path, Image.fromarray(values), "a.png", transparency=1000))
    assert (photo[:, :10] == 255).all() and (photo[:, 10:] == 100).all()


def test_palette_with_and_without_transparency(tmp_path):
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[:, 12:] = 1
    image = Image.fromarray(indices)
    image.putpalette([200, 10, 20, 30, 140, 50])
    assert read_photo(save(tmp_path, image, "a.png"))[0, 0].tolist() == [200, 10, 20]
    photo = read_photo(save(tmp_path, image, "b.gif", transparency=0))
    assert photo[0, 0].tolist() == [255, 255, 255]
    assert photo[0, 20].tolist() == [30, 140, 50]


def test_cmyk_jpeg_has_the_right_polarity(tmp_path):
    # Cyan ink only: red light is missing. Reading inverted CMYK would give red.
    image = Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 0))
    red, green, blue = read_photo(save(tmp_path, image, "a.jpg"))[5, 5]
    assert red < 10 and green > 245 and blue > 245


# Where the stored picture's top left pixel block stands once the picture is upright, by the EXIF
# standard's "0th row / 0th column" table: (row end, column end), and whether sides are exchanged.
EXIF_CASES = {
    1: ("top", "left", False),
    2: ("top", "right", False),
    3: ("bottom", "right", False),
    4: ("bottom", "left", False),
    5: ("top", "left", True),
    6: ("top", "right", True),
    7: ("bottom", "right", True),
    8: ("bottom", "left", True),
}


@pytest.mark.parametrize("orientation", EXIF_CASES)
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stored[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(save(tmp_path, Image.fromarray(stored), "a.jpg", exif=exif, quality=95))
    vertical, horizontal, exchanged = EXIF_CASES[orientation]
    assert photo.shape[:2] == ((WIDTH, HEIGHT) if exchanged else (HEIGHT, WIDTH))
    row, column = (2 if vertical == "top" else -3), (2 if horizontal == "left" else -3)
    assert photo[row, column, 0] > 200
    opposite = (-3 if vertical == "top" else 2), (-3 if horizontal == "left" else 2)
    assert photo[opposite][0] < 50


def test_broken_exif_leaves_the_picture(tmp_path):
    path = save(tmp_path, Image.fromarray(gradient()), "a.png", exif=b"Exif\0\0garbage")
    np.testing.assert_array_equal(read_photo(path), gradient())


def test_srgb_profile_changes_nothing_and_broken_profile_is_ignored(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in {"srgb.png": srgb, "broken.png": b"no profile at all"}.items():
        path = save(tmp_path, Image.fromarray(gradient()), name, icc_profile=profile)
        np.testing.assert_array_equal(read_photo(path), gradient())


def test_other_profile_is_converted(tmp_path):
    # sRGB's own profile with the red and blue primaries exchanged (and another name): converting
    # must exchange the channels.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))
    exchanged = exchanged.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ")
    exchanged = exchanged.replace(b"????", b"bXYZ")
    assert exchanged != srgb
    path = save(tmp_path, Image.fromarray(gradient()), "a.png", icc_profile=exchanged)
    np.testing.assert_allclose(read_photo(path), gradient()[..., ::-1], atol=2)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    path = save(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert read_photo(path)[0, 0].tolist() == [255, 0, 0]


def test_missing_empty_and_directory(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    for name, cause in {
        "missing.jpg": "no such file",
        "empty.jpg": "empty",
        "folder.jpg": "directory",
    }.items():
        with pytest.raises(ImageError) as error:
            read_photo(tmp_path / name)
        assert_one_line(error, tmp_path / name, cause)


def test_addresses_are_no_files():
    with pytest.raises(ImageError, match=r"hand\.jpg: no such file.* downloaded first$"):
        read_photo("https://example.org/hand.jpg")


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("text.jpg", b"hello\nworld" * 20, "not a picture"),
        ("archive.png", b"PK\x03\x04" + b"\0" * 100, "not a picture"),
        ("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "not a picture"),
        ("phone.jpg", b"\0\0\0\x18ftypheic" + b"\0" * 100, "HEIC"),
        ("stub.jpg", b"\xff\xd8\xff", "not a picture"),
    ],
)
def test_foreign_content(tmp_path, name, content, cause):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as error:
        read_photo(tmp_path / name)
    assert_one_line(error, tmp_path / name, cause)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif"])
def test_truncated_files_never_escape_as_other_errors(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = save(tmp_path, Image.fromarray(noise), f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for share in (0.05, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError) as error:
            read_photo(path)
        assert_one_line(error, path, "")


def test_flipped_bytes_give_a_picture_or_one_line(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "flipped"
    for image_format in ("JPEG", "PNG", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(gradient()).save(buffer, image_format)
        for _ in range(20):
            content = bytearray(buffer.getvalue())
            content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
            path.write_bytes(content)
            try:
                assert read_photo(path).shape[-1] == 3
            except ImageError as error:
                assert "\n" not in str(error)


def test_bomb_is_refused_from_its_header(tmp_path):
    # 40000 x 40000 announced, a few bytes present: decoding would say "truncated" instead.
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bytes(40_000, 40_000, 8, 2, b"\0" * 64))
    with pytest.raises(ImageError) as error:
        read_photo(path)
    assert_one_line(error, path, "too large")
    path.write_bytes(png_bytes(11_000, 11_000, 8, 2, b"\0" * 64))  # Under Pillow's own limit.
    with pytest.raises(ImageError) as error:
        read_photo(path)
    assert_one_line(error, path, "too large, 11000 x 11000")


def test_bomb_in_a_text_chunk_is_named(tmp_path):
    whole = png_bytes(WIDTH, HEIGHT, 8, 0, b"")
    comment = b"zTXt" + b"Comment\0\0" + zlib.compress(b"a" * 100_000_000)
    chunk = struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment))
    path = tmp_path / "comment.png"
    path.write_bytes(whole[:33] + chunk + whole[33:])  # After the header chunk.
    with pytest.raises(ImageError) as error:
        read_photo(path)
    assert_one_line(error, path, "damaged picture (Decompressed data too large")


def test_huge_file_is_refused_unread(tmp_path, monkeypatch):
    path = save(tmp_path, Image.fromarray(gradient()), "a.png")
    monkeypatch.setattr(read, "MAX_FILE_BYTES", path.stat().st_size)
    read_photo(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ImageError) as error:
        read_photo(path)
    assert_one_line(error, path, "too large")


def test_pixel_limit_is_exact(tmp_path):
    path = save(tmp_path, Image.fromarray(gradient()), "a.png")
    assert read_photo(path, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match="too large"):
        read_photo(path, max_pixels=WIDTH * HEIGHT - 1)


def test_pillow_s_own_limit_is_told_as_it_is(tmp_path, monkeypatch):
    # It refuses twice what it warns of.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    path = save(tmp_path, Image.new("L", (2000, 1001)), "a.png")
    with pytest.raises(ImageError) as error:
        read_photo(path, max_pixels=400_000_000)
    assert_one_line(error, path, "at most 2 million pixels are read")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (300, 15)])
def test_pictures_without_room_for_a_hand(tmp_path, width, height):
    path = save(tmp_path, Image.new("RGB", (width, height)), "small.png")
    with pytest.raises(ImageError) as error:
        read_photo(path)
    assert_one_line(error, path, f"too small to show a hand, {width} x {height} pixels")
