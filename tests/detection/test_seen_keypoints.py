"""What the landmark network sees in batches of crops: of rendered hands, and of other things."""

import io
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from i2uv_jax.config import LandmarkNetConfig
from i2uv_jax.detection.landmarks import place_square, square_about
from i2uv_jax.detection.seen_keypoints import see_keypoints
from i2uv_jax.inference.hand_detector import load_detector
from i2uv_jax.models.model_files import LANDMARK_NET, shipped_file
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.training.sharding import batch_sharding, make_mesh

SIZE = 128


@pytest.fixture(scope="module")
def hands(request):
    """Pictures of right hands, 0 to 1, and their keypoints in crop coordinates."""
    stored = np.load(request.config.rootpath / "tests" / "golden" / "unseen_hands.npz")
    column = np.asarray(Image.open(io.BytesIO(stored["jpeg"].tobytes())))
    keypoints = stored["keypoints_crop"].astype(np.float32)[:16]
    pictures = column.reshape(-1, column.shape[1], column.shape[1], 3)[:16]
    return jnp.asarray(pictures, jnp.float32) / 255, jnp.asarray(keypoints)


@pytest.fixture(scope="module")
def see():
    config, variables, _ = load_model_file(shipped_file(LANDMARK_NET), LandmarkNetConfig)
    compiled = jax.jit(see_keypoints, static_argnums=1)
    return lambda seed, image, true: compiled(jax.random.key(seed), config, variables, image, true)


def is_seen(points):
    return np.isfinite(points).all(axis=(1, 2))


def test_most_hands_are_seen_near_where_they_are_with_depths_about_the_wrist(see, hands):
    pictures, true = hands
    seen = see(0, pictures, true)
    shown = is_seen(seen)
    assert shown.sum() >= len(shown) / 2
    distance = np.linalg.norm((seen - true)[shown][..., :2], axis=-1)
    assert 0.005 < np.median(distance) < 0.06
    np.testing.assert_allclose(seen[shown][:, 0, 2], 0, atol=1e-6)
    depths, guessed = (np.asarray(points)[shown][:, 1:, 2].ravel() for points in (true, seen))
    assert np.corrcoef(depths, guessed)[0, 1] > 0.4


def test_hands_are_seen_as_the_detector_sees_them(see, hands):
    """The mean of looks that miss the square in their own ways lies nearer to what the detector
    says than that does to the truth: the errors are those that it makes on these very pictures."""
    pictures, true = hands
    detector = load_detector()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # hands that no look sees
        seen = np.nanmean([see(seed, pictures, true) for seed in range(6)], axis=0)
    differences, errors = [], []
    for picture, points, place in zip(pictures, seen, true, strict=True):
        found = detector(np.asarray(np.round(255 * picture), np.uint8))
        if found and found[0].handedness == "right" and np.isfinite(points).all():
            said = found[0].keypoints / SIZE
            differences.append(np.linalg.norm((points - said)[:, :2], axis=-1).mean())
            errors.append(np.linalg.norm((said - place)[:, :2], axis=-1).mean())
    assert len(errors) >= 6
    assert np.mean(differences) < 0.8 * np.mean(errors)


def test_left_hands_noise_and_hands_elsewhere_are_not_seen(see, hands):
    pictures, true = hands
    mirrored = see(0, pictures[:, :, ::-1], true * jnp.array([-1, 1, 1]) + jnp.array([1, 0, 0]))
    assert is_seen(mirrored).mean() < 0.3
    noise = jax.random.uniform(jax.random.key(0), pictures.shape)
    assert not is_seen(see(0, noise, true)).any()
    small = (true - 0.5) / 4 + jnp.array([0.85, 0.85, 0.5])
    assert not is_seen(see(0, pictures, small.at[..., 2].set(true[..., 2]))).any()


def test_the_key_decides_how_the_square_is_missed(see, hands):
    pictures, true = hands
    first, again, other = (see(seed, pictures, true) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    both = is_seen(first) & is_seen(other)
    difference = np.abs(first - other)[both].max(axis=(1, 2))
    assert both.any() and (difference > 1e-4).all()


def test_two_devices_see_what_one_sees(see, hands):
    pictures, true = hands
    split = batch_sharding(make_mesh(2))
    shared = see(3, jax.device_put(pictures, split), jax.device_put(true, split))
    assert len(shared.sharding.device_set) == 2
    np.testing.assert_allclose(shared, see(3, pictures, true), atol=1e-4)


def test_squares_of_a_batch_are_those_of_its_hands(hands):
    _, true = hands
    centres, sides, angles = jax.jit(place_square)(true[..., :2])
    for keypoints, centre, side, angle in zip(true, centres, sides, angles, strict=True):
        square = square_about(np.asarray(keypoints[:, :2]))
        np.testing.assert_allclose(centre, square.centre_px, atol=1e-5)
        np.testing.assert_allclose([side, angle], [square.side_px, square.angle], rtol=1e-4)
