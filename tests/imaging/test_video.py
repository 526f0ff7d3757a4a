"""Videos come back as they were written, upright, and damaged ones say what is wrong."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from i2uv_jax.imaging.video import VideoError, VideoWriteError, open_video, open_video_writer

av = pytest.importorskip("av")
UnknownCodecError = pytest.importorskip("av.codec.codec").UnknownCodecError

LEVELS = (20, 80, 140, 200)

# FFmpeg's numbers.
BT709, BT601, UNKNOWN_SPACE = 1, 5, 2
LIMITED_RANGE = 1


def write(path, width=64, height=48, levels=LEVELS):
    with open_video_writer(path, 25) as writer:
        for number, level in enumerate(levels):
            writer.write(np.full((height, width, 3), level, np.uint8), number / 25)
    return path


def read(path):
    with open_video(path) as video:
        return list(video.frames())


def test_frames_come_back_in_order_with_their_times(tmp_path):
    path = write(tmp_path / "clip.mp4")
    frames = read(path)
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(4) / 25, atol=1e-3)
    for frame, level in zip(frames, LEVELS, strict=True):
        assert frame.pixels.shape == (48, 64, 3)
        np.testing.assert_allclose(frame.pixels, level, atol=3)
    with open_video(path) as video:
        assert video.frames_per_second == pytest.approx(25)
        assert video.num_frames == 4
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


COLOURS = ((200, 60, 40), (40, 180, 60), (30, 50, 210))


def test_written_colours_come_back_by_what_the_file_says(tmp_path):
    path = tmp_path / "clip.mp4"
    with open_video_writer(path, 25) as writer:
        for number, colour in enumerate(COLOURS):
            writer.write(np.full((720, 1280, 3), colour, np.uint8), number / 25)
    for frame, colour in zip(read(path), COLOURS, strict=True):
        np.testing.assert_allclose(frame.pixels[300, 600], colour, atol=3)
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert (frame.colorspace, frame.color_range) == (BT709, LIMITED_RANGE)
        luma, *chroma = (int(np.asarray(plane)[5000]) for plane in frame.planes)
        np.testing.assert_allclose((luma, *chroma), bt709(colour), atol=2)


def bt709(colour):
    """Y, Cb and Cr of 8 bits, by ITU-R BT.709-6, 3."""
    red, green, blue = (value / 255 for value in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    blueness, redness = (blue - luma) / 1.8556, (red - luma) / 1.5748
    return 16 + 219 * luma, 128 + 224 * blueness, 128 + 224 * redness


@pytest.mark.parametrize("height, guessed", [(720, BT709), (576, BT601)])
def test_colours_of_files_that_do_not_tell_are_read_as_players_do(tmp_path, height, guessed):
    path = tmp_path / "untagged.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1024, height, "yuv420p"
        pixels = np.full((height, 1024, 3), COLOURS[0], np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=guessed)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert next(container.decode(container.streams.video[0])).colorspace == UNKNOWN_SPACE
    np.testing.assert_allclose(read(path)[0].pixels[300, 600], COLOURS[0], atol=3)


def test_odd_sides_lose_a_pixel(tmp_path):
    assert read(write(tmp_path / "odd.mp4", 65, 49))[0].pixels.shape == (48, 64, 3)


def test_a_turned_phone_s_video_is_upright(tmp_path):
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90)  # counter-clockwise
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[:, 32:] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    (frame,) = read(path)
    assert frame.pixels.shape == (64, 48, 3)
    # What was on the right is now above.
    assert frame.pixels[:24].min() > 200
    assert frame.pixels[40:].max() < 50


def write_with_pixels_of(path, aspect, *, rotation=0):
    """64 x 48 stored pixels, of which the middle half in both directions is white."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[12:36, 16:48] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "aspect, rotation, width, height",
    [
        (Fraction(4, 3), 0, 85, 48),  # 64 * 4 / 3 = 85.3
        (Fraction(3, 4), 0, 48, 48),
        (Fraction(4, 3), 90, 48, 85),
        (Fraction(1), 0, 64, 48),
        (Fraction(0, 1), 0, 64, 48),  # unknown
    ],
)
def test_pixels_that_are_not_square_become_so(tmp_path, aspect, rotation, width, height):
    path = write_with_pixels_of(tmp_path / "wide.mp4", aspect, rotation=rotation)
    (frame,) = read(path)
    assert frame.pixels.shape == (height, width, 3)
    # The white part still ends where it did, at a quarter of each side.
    rows, columns = np.nonzero(frame.pixels[..., 1] > 127)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], [height / 4, height * 3 / 4], atol=1)
    np.testing.assert_allclose(
        [columns.min(), columns.max() + 1], [width / 4, width * 3 / 4], atol=1
    )


def write_gif(path, width, height):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb8"
        black = np.zeros((height, width, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(black, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_too_small_for_a_hand_are_refused_as_photos_are(tmp_path):
    path = write_gif(tmp_path / "slim.gif", 15, 40)
    message = r"^\S*/slim\.gif: too small .*15 x 40 pixels, expected at least 16 on each side$"
    with pytest.raises(VideoError, match=message), open_video(path):
        pass
    assert read(write_gif(tmp_path / "least.gif", 16, 16))[0].pixels.shape == (16, 16, 3)
    # 64 * 1 / 5 = 12.8
    narrow = write_with_pixels_of(tmp_path / "narrow.mp4", Fraction(1, 5))
    with pytest.raises(VideoError, match="13 x 48 pixels"), open_video(narrow):
        pass


def test_a_width_counts_as_shown_where_frames_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("i2uv_jax.imaging.video.MAX_PIXELS", 100 * 48)
    path = write_with_pixels_of(tmp_path / "wide.mp4", Fraction(2))
    with pytest.raises(VideoError, match="too large, 128 x 48 pixels"), open_video(path):
        pass
    assert len(read(write_with_pixels_of(tmp_path / "square.mp4", Fraction(1)))) == 1


def test_what_is_no_video_is_named(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for path in (text, tmp_path / "missing.mp4"):
        with pytest.raises(VideoError, match=path.name) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_cut_file_gives_what_is_left_and_says_so(tmp_path):
    whole = tmp_path / "whole.mkv"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        rng = np.random.default_rng(0)
        for _ in range(50):
            noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = []
    with open_video(cut) as video:
        try:
            frames.extend(video.frames())
        except VideoError as error:
            assert "cut.mkv: damaged after" in str(error)
    assert 10 < len(frames) < 40


def test_a_failed_writer_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), open_video_writer(tmp_path / "clip.mp4", 25) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_refuses_is_one_line(tmp_path, monkeypatch):
    black = np.zeros((48, 64, 3), np.uint8)

    def write_backwards():
        with open_video_writer(tmp_path / "clip.mp4", 25) as writer:
            for number in range(6):
                writer.write(black, 5.0 - number)

    message = r"^\S*/clip\.mp4: cannot be written \(.+\)$"
    with pytest.raises(VideoWriteError, match=message):
        write_backwards()

    class WithoutH264:
        def add_stream(self, name, **_):
            raise UnknownCodecError(name)

    monkeypatch.setattr(av, "open", lambda *_, **__: WithoutH264())
    with pytest.raises(VideoWriteError, match=r"clip\.mp4: .*without libx264"):
        write_backwards()
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"i2uv-jax\[video\]"), open_video(tmp_path / "clip.mp4"):
        pass
