"""Crops by hand-computed coordinates, and against a plain supersampling of the same square."""

import numpy as np
import pytest

from i2uv_jax.imaging.crop import (
    FILL,
    BoxError,
    SquareCrop,
    TurnedCrop,
    crop_from_box,
    crop_whole,
    extract,
    extract_turned,
)


def ramp(width: int, height: int) -> np.ndarray:
    """(h, w, 3): red = column, green = row, at one unit a pixel."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 9)], -1).astype(np.uint8)


def test_worked_example_of_the_module():
    crop = SquareCrop((20.0, 30.0), 20.0)
    assert crop.xyxy_px == (10, 20, 30, 40)
    # Pixel (column 1, row 0) of 4 x 4: centre ((1 + 0.5) / 4, (0 + 0.5) / 4).
    np.testing.assert_allclose(crop.to_pixels(np.array([0.375, 0.125])), [17.5, 22.5])
    np.testing.assert_allclose(crop.to_crop(np.array([[17.5, 22.5]])), [[0.375, 0.125]])


def test_whole_picture_is_centred_and_padded():
    assert crop_whole(100, 60).xyxy_px == (0, -20, 100, 80)
    assert crop_whole(60, 100).xyxy_px == (-20, 0, 80, 100)


def test_box_gets_its_margin_on_the_longer_side():
    # 40 x 20 box, centre (50, 40): side 40 * 1.25 = 50.
    assert crop_from_box((30, 30, 70, 50), 200, 100).xyxy_px == (25, 15, 75, 65)
    assert crop_from_box((30, 30, 70, 50), 200, 100, margin=0.0).side_px == 40


def test_box_over_the_edge_is_kept():
    assert crop_from_box((-10, 0, 30, 40), 50, 50, margin=0.0).xyxy_px == (-10, 0, 30, 40)


@pytest.mark.parametrize(
    ("box", "cause"),
    [
        ((100, 0, 140, 40), "outside the picture of 100 x 60"),
        ((-50, 0, 0, 40), "outside the picture"),
        ((0, 60, 10, 90), "outside the picture"),
        ((30, 10, 20, 40), "X0 < X1"),
        ((10, 10, 10, 40), "X0 < X1"),
        ((10, 10, 13, 14), "at least 8 pixels"),
        ((0, 0, float("nan"), 40), "four finite numbers"),
        ((0, 0, float("inf"), 40), "four finite numbers"),
        ((0, 0, 40), "four finite numbers"),
        ((-1e6, -1e6, 1e6, 1e6), "far larger"),
    ],
)
def test_senseless_boxes(box, cause):
    with pytest.raises(BoxError, match=cause) as error:
        crop_from_box(box, 100, 60)
    assert "\n" not in str(error.value)


def test_unscaled_crop_copies_pixels():
    photo = ramp(50, 40)
    crop = SquareCrop((20.0, 25.0), 16.0)  # columns 12..27, rows 17..32
    np.testing.assert_array_equal(extract(photo, crop, 16), photo[17:33, 12:28])


@pytest.mark.parametrize("size", [5, 16, 23, 64])
def test_pixel_centres_land_where_the_mapping_says(size):
    # On a ramp (value = column i at x = i + 0.5) any symmetric filter returns the value at the
    # output pixel's centre: x - 0.5. Half a pixel off anywhere would show.
    photo = ramp(240, 200)
    crop = SquareCrop((101.3, 97.9), 90.7)
    centres = (np.arange(size) + 0.5) / size
    points = np.stack(np.meshgrid(centres, centres), -1)
    expected = crop.to_pixels(points) - 0.5
    np.testing.assert_allclose(extract(photo, crop, size)[..., :2], expected, atol=0.6)
    assert abs(np.mean(extract(photo, crop, size)[..., :2] - expected)) < 0.1


def supersampled(photo, crop, size, samples=16):
    """Box-filtered reference: the mean of samples x samples nearest photo pixels per crop pixel."""
    grid = (np.arange(size * samples) + 0.5) / (size * samples)
    points = np.floor(crop.to_pixels(np.stack(np.meshgrid(grid, grid), -1))).astype(int)
    x, y = points[..., 0], points[..., 1]
    height, width, _ = photo.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    colours = np.where(
        inside[..., None], photo[y.clip(0, height - 1), x.clip(0, width - 1)], np.array(FILL)
    )
    return colours.reshape(size, samples, size, samples, 3).mean((1, 3))


@pytest.mark.parametrize(
    "crop",
    [
        SquareCrop((50.0, 30.0), 100.0),  # whole picture, padded above and below
        SquareCrop((3.0, 55.0), 61.7),  # over a corner
        SquareCrop((60.0, 30.0), 27.3),  # inside
        SquareCrop((50.0, 30.0), 400.0),  # picture small in the middle
    ],
)
def test_extract_against_supersampling(crop):
    rows, columns = np.mgrid[:60, :100]
    photo = np.stack(
        [127 + 100 * np.sin(columns / 9), 127 + 100 * np.cos(rows / 7), (columns + rows)], -1
    ).astype(np.uint8)
    difference = extract(photo, crop, 32) - supersampled(photo, crop, 32)
    assert np.abs(difference).mean() < 3
    # A crop pixel more or less of padding would leave a row that is far off.
    assert np.abs(difference).mean((0, 2)).max() < 14 and np.abs(difference).mean((1, 2)).max() < 14


def test_shrinking_averages():
    # A fine checkerboard must become grey, not pick black or white pixels.
    photo = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, -1)
    shrunk = extract(photo, SquareCrop((128.0, 128.0), 256.0), 32)
    assert np.abs(shrunk.astype(int) - 127).max() <= 2


def test_outside_is_filled():
    photo = np.zeros((60, 100, 3), np.uint8)
    crop = extract(photo, crop_whole(100, 60), 50)  # rows 0..9 and 40..49 lie outside
    assert (crop[:10] == FILL).all() and (crop[40:] == FILL).all()
    assert (crop[12:38] == 0).all()


def test_extreme_panorama_needs_little_memory():
    photo = np.zeros((16, 200_000, 3), np.uint8)
    crop = extract(photo, crop_whole(200_000, 16), 64)
    assert crop.shape == (64, 64, 3)


def test_a_turned_square_by_hand():
    # Turned by a quarter clockwise: its x axis points down and its y axis to the left.
    crop = TurnedCrop((20.0, 30.0), 10.0, np.pi / 2)
    corners = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]])
    in_photo = np.array([[25, 25], [25, 35], [15, 25], [20, 30]])
    np.testing.assert_allclose(crop.to_pixels(corners), in_photo)
    np.testing.assert_allclose(crop.to_crop(in_photo), corners, atol=1e-12)
    assert crop.upright.side_px == pytest.approx(10)
    assert TurnedCrop((0.0, 0.0), 10.0, np.pi / 4).upright.side_px == pytest.approx(10 * 2**0.5)


def test_a_quarter_turn_copies_turned_pixels():
    photo = ramp(50, 40)
    upright = extract(photo, SquareCrop((20.0, 16.0), 16.0), 16)
    turned = extract_turned(photo, TurnedCrop((20.0, 16.0), 16.0, np.pi / 2), 16)
    np.testing.assert_array_equal(turned, np.rot90(upright))
    unturned = extract_turned(photo, TurnedCrop((20.0, 16.0), 16.0, 0.0), 16)
    np.testing.assert_array_equal(unturned, upright)


@pytest.mark.parametrize("side", [30.0, 90.0, 200.0])
@pytest.mark.parametrize("angle", [0.3, -1.2, 2.9])
def test_turned_pixels_show_where_they_lie(side, angle):
    photo = ramp(250, 250)
    crop = TurnedCrop((125.0, 122.5), side, angle)
    seen = extract_turned(photo, crop, 32).astype(float)
    pixel = (np.arange(32) + 0.5) / 32
    y, x = np.meshgrid(pixel, pixel, indexing="ij")
    place = crop.to_pixels(np.stack([x, y], axis=-1))
    inside = ((place > 16) & (place < 234)).all(axis=-1)
    # Colours are pixel indices, half a pixel below coordinates; bytes are rounded twice.
    np.testing.assert_allclose(seen[inside][:, :2], place[inside] - 0.5, atol=1.5)


def test_a_turned_square_is_antialiased():
    # Columns of one pixel, black and white: shrunk 8 times they are grey, whatever the angle.
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[:, ::2] = 255
    seen = extract_turned(photo, TurnedCrop((200.0, 200.0), 256.0, 0.4), 32)
    assert np.abs(seen.astype(int) - 127).max() <= 8


def test_a_photo_that_ends_within_a_block_weighs_as_much_as_it_shows():
    # Shrunk 16 times, a white column beside the photo's last 16 black ones fills a sixteenth.
    photo = np.zeros((320, 321, 3), np.uint8)
    photo[:, 320] = 255
    seen = extract_turned(photo, TurnedCrop((320.0, 160.0), 256.0, 0.0), 16, fill=(0, 0, 0))
    np.testing.assert_array_equal(seen[:, 8], 16)
    assert seen[:, :8].max() == seen[:, 9:].max() == 0


def test_a_turned_square_is_filled_outside_the_photo():
    photo = np.full((40, 40, 3), 255, np.uint8)
    seen = extract_turned(photo, TurnedCrop((0.0, 20.0), 40.0, np.pi / 4), 40, fill=(0, 0, 9))
    # Its corners lie 28 pixels left, above and right of (0, 20).
    np.testing.assert_array_equal(seen[39, 0], (0, 0, 9))
    np.testing.assert_array_equal(seen[0, 0], (0, 0, 9))
    np.testing.assert_array_equal(seen[0, 39], (255, 255, 255))
