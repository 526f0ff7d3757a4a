"""Palms, and the closer look at the hand of each: with networks made by hand, and the shipped."""

import numpy as np
import pytest

from i2uv_jax.detection.landmarks import DEPTH_SHARE, HAND_SIDES
from i2uv_jax.imaging.crop import BoxError, TurnedCrop
from i2uv_jax.inference import palm_detector
from i2uv_jax.inference.drawn_photos import draw_photo
from i2uv_jax.inference.hand_detector import load_detector
from i2uv_jax.inference.palm_detector import PalmDetector
from i2uv_jax.inference.picture_networks import PictureNetworks
from i2uv_jax.models.landmark_net import LandmarkNetOutput
from i2uv_jax.models.palm_net import PalmNetOutput

NUM_ANCHORS = 24 * 24 * 2 + 12 * 12 * 6


class Network:
    """A `PictureNetwork` made by hand."""

    def __init__(self, image_size, answer):
        self.image_size = image_size
        self._answer = answer

    def __call__(self, pixels):
        assert pixels.shape == (self.image_size, self.image_size, 3)
        assert pixels.dtype == np.uint8
        return self._answer(pixels)

    def compile(self):
        pass


def palms_of(pixels):
    """A palm, fingers up, wherever a cell of the fine grid is red, if few are."""
    red = pixels.reshape(24, 8, 24, 8, 3).mean(axis=(1, 3))[..., 0].reshape(-1, 1)
    is_seen = (red > 127) & ((red > 127).sum() <= 16)
    fine = np.where(is_seen, [3.0, -9.0], -9.0).ravel()
    logits = np.concatenate([fine, np.full(12 * 12 * 6, -9.0)])
    told = np.array([0, 0, 16, 16, 0, 8, 0, 0, 0, -8, *[0] * 8])
    return PalmNetOutput(logits, np.broadcast_to(told, (NUM_ANCHORS, 18)))


def landmarks_of(pixels):
    """The same hand wherever it is; a left one where it is a bit green, none where a bit blue."""
    _, green, blue = pixels.max(axis=(0, 1))
    keypoints = np.tile([112.0, 112.0, 1.0], (21, 1))
    keypoints[1:3] = [[0.0, 56.0, 1.0], [112.0, 224.0, 5.0]]
    return LandmarkNetOutput(
        np.array(-3.0 if blue > 77 else 3.0),
        np.array(-1.0 if green > 77 else 1.0),
        keypoints,
        np.zeros((21, 3)),
    )


NETWORKS = PictureNetworks(Network(192, palms_of), Network(224, landmarks_of))


@pytest.fixture
def detector(monkeypatch):
    """Of networks made by hand."""
    monkeypatch.setattr(palm_detector, "extract_turned", with_black_fill(palm_detector))
    # What it says does not depend on where the hand is: a second look would contradict the first.
    return PalmDetector(NETWORKS, second_look=False)


def with_black_fill(module):
    """`extract_turned` whose fill does not look like a colour."""
    original = module.extract_turned
    return lambda photo, crop, size: original(photo, crop, size, fill=(0, 0, 0))


def test_hands_of_a_wide_photo_lie_where_their_keypoints_are(detector):
    # 384 x 192 pixels in a square of 192: halved, with black bars of 48 above and below.
    photo = np.zeros((192, 384, 3), np.uint8)
    photo[64:80, 32:48] = (255, 0, 0)
    (hand,) = detector(photo)
    assert hand.handedness == "right"
    assert hand.score == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-5)
    # The palm is 32 photo pixels wide about (40, 72); its hand's middle lies half of that above.
    side = 32 * HAND_SIDES
    expected = np.array([[40, 56, 0], [40 - side / 2, 56 - side / 4, 0]])
    np.testing.assert_allclose(hand.keypoints[:2], expected, atol=1e-3)
    np.testing.assert_allclose(
        hand.keypoints[2], [40, 56 + side / 2, 4 / DEPTH_SHARE * side / 224], atol=1e-3
    )
    # 0.5 x 0.75 sides of keypoints, with 7.5 % of the longer more on every side.
    room = 0.075 * 0.75 * side
    box = [40 - side / 2 - room, 56 - side / 4 - room, 40 + room, 56 + side / 2 + room]
    np.testing.assert_allclose(hand.box_xyxy, box, atol=1e-3)


def test_what_a_closer_look_finds_no_hand_is_left_out(detector):
    photo = np.zeros((192, 384, 3), np.uint8)
    photo[64:80, 32:48] = (255, 0, 255)
    photo[64:80, 304:320] = (255, 255, 0)
    (hand,) = detector(photo)
    assert hand.handedness == "left"
    assert hand.keypoints[0, 0] == pytest.approx(312, abs=1e-3)


def test_a_photo_without_a_palm_gives_an_empty_list(detector):
    assert detector(np.zeros((50, 300, 3), np.uint8)) == []
    assert detector(np.zeros((1, 1, 3), np.uint8)) == []


def test_a_palm_that_fills_the_picture_is_found_from_farther_away(detector):
    photo = np.zeros((192, 192, 3), np.uint8)
    photo[48:144, 48:144] = (255, 0, 0)  # 12 x 12 cells; from three times as far, 4 x 4
    found = detector(photo)
    assert found
    for hand in found:
        # A palm's 16 pixels are 48 of the photo; the hand's middle lies half of them above it.
        x, y = hand.keypoints[0, :2]
        assert 48 <= x <= 144 and 48 <= y + 24 <= 144


@pytest.mark.parametrize("length", [0.3, 0.5, 0.5625, 0.625, 0.75, 0.8, 0.9, 1])
def test_parts_cover_a_photo_and_overlap_by_half(length):
    starts = palm_detector._starts(length, 192)
    bar = 192 * (1 - length)
    assert starts[0] <= bar + 0.5 and starts[-1] + 192 >= 384 - bar - 0.5
    assert (np.diff(starts) <= 96).all()
    assert len(starts) <= 3


@pytest.mark.parametrize(("column", "row"), [(16, 32), (400, 256), (736, 528)])
def test_a_hand_too_small_for_the_whole_photo_is_found_in_a_part(detector, column, row):
    # A cell of the palm network is 32 pixels of the whole of this photo, and 16 of its parts.
    photo = np.zeros((576, 768, 3), np.uint8)
    photo[row : row + 16, column : column + 16] = (255, 0, 0)
    (hand,) = detector(photo)
    # The palm is 32 photo pixels wide about the cell; its hand's middle lies half of that above.
    np.testing.assert_allclose(hand.keypoints[0], [column + 8, row + 8 - 16, 0], atol=1e-3)
    one_look = PalmDetector(NETWORKS, second_look=False, in_parts=False)
    assert one_look(photo) == detector(photo, in_parts=False) == []
    # Beside another that is as small, but in the whole photo to be seen.
    photo[288:320, 224:256] = (255, 0, 0)
    assert len(detector(photo)) == 2


def test_small_hands_are_not_looked_for_beside_a_large_one(detector):
    photo = np.zeros((576, 768, 3), np.uint8)
    photo[256:384, 320:448] = (255, 0, 0)
    photo[32:48, 16:32] = (255, 0, 0)
    # Of the cells that the large one fills each is a palm here.
    assert all(np.hypot(*(hand.keypoints[0, :2] - [384, 304])) < 96 for hand in detector(photo))


def test_doubtful_hands_of_parts_are_none(detector):
    photo = np.zeros((576, 768, 3), np.uint8)
    photo[32:48, 16:32] = (255, 0, 255)
    assert detector(photo) == []


TRUTH = np.stack([np.linspace(80, 120, 21), np.linspace(120, 70, 21)], axis=-1)
"""Where the keypoints of the hand below are in its photo."""


@pytest.fixture
def look(monkeypatch):
    """A detector whose landmark network says each keypoint's place with the same error, 7 pixels to
    the right, of squares that are white on their left; and the squares that it was shown."""

    def detector(*, second_presence=2.0, second_right=-1.0, second_shift=0):
        squares = []

        def extract_turned(photo, square, size):
            squares.append(square)
            picture = np.zeros((size, size, 3), np.uint8)
            picture[:, : size // 2] = 255
            return picture

        def landmarks(pixels):
            is_second = len(squares) == 2
            place = 224 * squares[-1].to_crop(TRUTH + second_shift * is_second)
            # What it sees is mirrored where the white side is on the right.
            is_mirrored = pixels[0, -1, 0] > 0
            place[:, 0] = 224 - place[:, 0] if is_mirrored else place[:, 0]
            keypoints = np.column_stack([place + np.array([7, 0]), np.linspace(0, 3, 21)])
            return LandmarkNetOutput(
                np.array(second_presence if is_second else 2.0),
                np.array(second_right if is_second else 1.0),
                keypoints,
                np.zeros((21, 3)),
            )

        monkeypatch.setattr(palm_detector, "extract_turned", extract_turned)
        made = PalmDetector(NETWORKS._replace(landmark=Network(224, landmarks)))
        photo = np.zeros((200, 200, 3), np.uint8)
        first = made._look_closer(photo, TurnedCrop((100.0, 100.0), 112.0, 0.0))
        return first, made._look_again(photo, first), squares

    return detector


def test_a_second_look_in_a_mirror_takes_one_sided_errors_out(look):
    first, both, (before, after) = look()
    # 7 of 224 pixels of squares with a side of 112, and of the one about the keypoints.
    np.testing.assert_allclose(first.keypoints[:, :2] - TRUTH, np.tile([3.5, 0], (21, 1)))
    second = -7 / 224 * after.side_px * after.axes[0]
    np.testing.assert_allclose(
        both.keypoints[:, :2] - TRUTH, np.tile((np.array([3.5, 0]) + second) / 2, (21, 1))
    )
    assert np.linalg.norm(both.keypoints[0, :2] - TRUTH[0]) < 2
    assert (both.handedness, both.score) == ("right", first.score)
    assert after.angle != before.angle


@pytest.mark.parametrize(
    "answer", [{"second_presence": -2.0}, {"second_right": 1.0}, {"second_shift": 60}]
)
def test_a_second_look_that_sees_no_such_hand_changes_nothing(look, answer):
    first, both, _ = look(**answer)
    assert both is first


@pytest.fixture(scope="module")
def shipped():
    return load_detector()


def test_both_looks_at_a_drawn_hand_count(shipped):
    photo = draw_photo(640, 480, 2)
    (both,), (first,) = shipped(photo), load_detector(second_look=False)(photo)
    apart = np.linalg.norm((both.keypoints - first.keypoints)[:, :2], axis=-1)
    assert 0.1 < apart.mean() < 10  # pixels of a hand of 288


@pytest.mark.parametrize("seed", [2, 3])
def test_a_drawn_hand_is_found_with_its_side(shipped, seed):
    photo = draw_photo(640, 480, seed)
    (right,), (left,) = shipped(photo), shipped(np.ascontiguousarray(photo[:, ::-1]))
    assert (right.handedness, left.handedness) == ("right", "left")
    assert min(right.score, left.score) > 0.9
    # Both see the hand at one place, 288 pixels across about the photo's middle.
    np.testing.assert_allclose(left.keypoints[:, :2] * [-1, 1] + [640, 0], right.keypoints[:, :2],
                               atol=12)  # fmt: skip
    x, y = right.keypoints[:, :2].T
    assert np.hypot(x - 320, y - 240).max() < 144 + 12
    assert np.ptp(x) > 120
    assert np.ptp(y) > 120


@pytest.mark.parametrize("num_quarters", [0, 1, 2, 3])
def test_the_hand_of_a_box_is_seen_whichever_way_it_points(shipped, num_quarters):
    photo = draw_photo(480, 480, 2)
    (found,) = shipped(photo)
    centred = found.keypoints[:, :2] - 240
    for _ in range(num_quarters):  # what lies right comes to lie up
        centred = np.stack([centred[:, 1], -centred[:, 0]], axis=-1)
    box = *(240 + centred.min(axis=0)), *(240 + centred.max(axis=0))
    seen = shipped.look_in_box(np.ascontiguousarray(np.rot90(photo, num_quarters)), box)
    assert (seen.handedness, seen.score > 0.9) == ("right", True)
    apart = np.linalg.norm(seen.keypoints[:, :2] - (240 + centred), axis=-1)
    assert apart.mean() < 6 and apart.max() < 16  # pixels of a hand of 288
    np.testing.assert_allclose(seen.keypoints[:, 2], found.keypoints[:, 2], atol=30)


def test_noise_shows_no_hand(shipped):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert shipped(noise) == []
    assert shipped.look_in_box(noise, (50, 20, 250, 220)) is None


def test_a_box_outside_the_photo_is_refused(shipped):
    with pytest.raises(BoxError, match="lies outside"):
        shipped.look_in_box(np.zeros((50, 50, 3), np.uint8), (60, 0, 90, 30))
