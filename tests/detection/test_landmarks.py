"""The hand landmark network against MediaPipe's own file, and its squares by hand."""

import jax
import numpy as np
import pytest

from i2uv_jax.config import LandmarkNetConfig
from i2uv_jax.detection.landmarks import (
    DEPTH_SHARE,
    HAND_SIDES,
    hand_squares,
    keypoints_in_photo,
    mirrored_keypoints,
    square_about,
)
from i2uv_jax.detection.palms import Palms
from i2uv_jax.imaging.crop import SquareCrop, TurnedCrop
from i2uv_jax.models.landmark_net import build_landmark_net
from i2uv_jax.models.model_files import LANDMARK_NET, MODEL_SUFFIX, WEIGHTS_DIRECTORY
from i2uv_jax.models.weights import load_model_file


@pytest.fixture(scope="module")
def network():
    """The shipped config, variables and card."""
    return load_model_file(WEIGHTS_DIRECTORY / (LANDMARK_NET + MODEL_SUFFIX), LandmarkNetConfig)


@pytest.mark.parametrize("cpu_paths", [True, False])
def test_the_network_says_what_mediapipe_s_file_says(request, network, cpu_paths):
    """The golden answers are of `hand_landmark_full.tflite` (wheel 0.10.14) in LiteRT 2."""
    golden = np.load(request.config.rootpath / "tests" / "golden" / "landmark_net.npz")
    y, x = np.mgrid[:224, :224].astype(np.float32) / 224
    waves = [np.sin(7 * x + 3 * y), np.cos(11 * y - 2 * x), np.sin(23 * x * y)]
    picture = np.stack([0.5 + 0.5 * wave for wave in waves], axis=-1)[None]
    config, variables, card = network
    assert config == LandmarkNetConfig()
    assert card["licence"].startswith("Apache-2.0")
    model = build_landmark_net(config).clone(cpu_paths=cpu_paths)
    output = jax.jit(lambda v, p: model.apply(v, p, train=False))(variables, picture)
    np.testing.assert_allclose(output.keypoints[0], golden["keypoints"], atol=5e-3)  # pixels
    np.testing.assert_allclose(output.world_m[0], golden["world_m"], atol=1e-5)
    for logit, share in (("presence_logit", "presence"), ("right_logit", "right")):
        told = 1 / (1 + np.exp(-getattr(output, logit)))
        np.testing.assert_allclose(told, golden[share], rtol=1e-3)


def test_pictures_of_another_size_are_refused(network):
    config, variables, _ = network
    with pytest.raises(ValueError, match=r"expected shape \(b, 224, 224, 3\)"):
        build_landmark_net(config).apply(variables, np.zeros((1, 192, 192, 3)), train=False)


def palm(wrist, middle_mcp):
    points = np.zeros((1, 7, 2))
    points[0, 0], points[0, 2] = wrist, middle_mcp
    return Palms(np.array([[0.4, 0.5, 0.6, 0.7]]), points, np.ones(1))


@pytest.mark.parametrize(
    ("middle_mcp", "angle", "centre"),
    [
        ((0.5, 0.4), 0.0, (110, 70)),  # fingers up
        ((0.8, 0.6), np.pi / 2, (130, 90)),  # to the right: turned clockwise
        ((0.2, 0.6), -np.pi / 2, (90, 90)),
        ((0.8, 0.9), 3 * np.pi / 4, (110 + 20 / np.sqrt(2), 90 + 20 / np.sqrt(2))),
    ],
)
def test_a_hand_s_square_lies_from_its_palm_towards_the_fingers(middle_mcp, angle, centre):
    # The whole picture's square: 200 photo pixels from (10, -30). The palm's box: 40 of them about
    # (0.5, 0.6), which is (110, 90); the hand's middle lies half of that further.
    whole = SquareCrop((110.0, 70.0), 200.0)
    (square,) = hand_squares(palm((0.5, 0.6), middle_mcp), whole)
    assert square.side_px == pytest.approx(40 * HAND_SIDES)
    assert square.angle == pytest.approx(angle)
    np.testing.assert_allclose(square.centre_px, centre, atol=1e-9)
    # Seen in it, the knuckle is straight above the wrist.
    wrist, knuckle = square.to_crop(whole.to_pixels(np.array([(0.5, 0.6), middle_mcp])))
    assert wrist[0] == pytest.approx(0.5)
    assert knuckle[0] == pytest.approx(0.5)
    assert knuckle[1] < wrist[1]


def test_no_palm_has_no_square():
    none = Palms(np.zeros((0, 4)), np.zeros((0, 7, 2)), np.zeros(0))
    assert hand_squares(none, SquareCrop((5.0, 5.0), 10.0)) == []


def upright_hand():
    """Wrist at (100, 200), knuckles straight above it at y = 120, the box of all that a square is
    laid around 60 wide and 100 high about (100, 150); fingertips far above."""
    points = np.tile([100.0, 120.0], (21, 1))
    points[0], points[1], points[17], points[10] = (100, 200), (70, 170), (130, 130), (100, 100)
    points[[4, 8, 12, 16, 20]] = (100, 0)
    return points


def test_a_square_lies_about_keypoints_fingers_up():
    square = square_about(upright_hand())
    assert square.angle == pytest.approx(0)
    assert square.side_px == pytest.approx(2 * 100)
    # A tenth of the box's height nearer to the fingers than its middle.
    np.testing.assert_allclose(square.centre_px, (100, 150 - 10))


@pytest.mark.parametrize("angle", [0.3, 2.0, -3.0])
def test_a_square_turns_and_grows_with_the_keypoints(angle):
    upright = square_about(upright_hand())
    turn = TurnedCrop((0.0, 0.0), 1.0, angle).axes
    square = square_about(3 * upright_hand() @ turn + [5, 7])
    assert square.angle == pytest.approx(angle)
    assert square.side_px == pytest.approx(3 * upright.side_px)
    np.testing.assert_allclose(square.centre_px, 3 * np.array(upright.centre_px) @ turn + [5, 7])


def test_mirrored_keypoints_change_sides():
    seen = np.arange(63.0).reshape(21, 3)
    back = mirrored_keypoints(seen, 224)
    np.testing.assert_array_equal(back[1], [224 - 3, 4, 5])
    np.testing.assert_array_equal(mirrored_keypoints(back, 224), seen)


def test_keypoints_go_back_into_the_photo():
    # 100 photo pixels seen as 200, the square's top to the photo's right.
    square = TurnedCrop((50.0, 60.0), 100.0, np.pi / 2)
    seen = np.zeros((21, 3))
    seen[0], seen[1], seen[2] = (100, 100, 3), (100, 0, 11), (200, 100, -1)
    found = keypoints_in_photo(seen, square, 200)
    np.testing.assert_allclose(found[:3, :2], [[50, 60], [100, 60], [50, 110]])
    np.testing.assert_allclose(found[:3, 2], [0, 8 / DEPTH_SHARE / 2, -4 / DEPTH_SHARE / 2])
