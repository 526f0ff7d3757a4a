"""Keypoints as MediaPipe's hand landmark network sees them in batches of crops, on the device.

What `inference.palm_detector` does for hands of photos, cheaply: one look at each, mirrored or not,
instead of the mean of both, in a square about the true keypoints that misses the hand as the
detector's squares do. The square is cut from the crop that the hand's network sees, however small;
what lies beyond the crop's edge repeats the edge.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from i2uv_jax.config import LandmarkNetConfig
from i2uv_jax.detection.landmarks import (
    MIN_PRESENCE,
    keypoints_in_square,
    mirrored_keypoints,
    place_square,
)
from i2uv_jax.geometry.similarity import PictureSimilarity, clockwise_turn
from i2uv_jax.models.landmark_net import build_landmark_net
from i2uv_jax.ops.hash_prng import hash_key

_SIDE, _SIDE_SPREAD = 0.94, 0.14
"""Of squares that `palm` lays about rendered hands (`landmarks.HAND_SIDES`), in sides of those
about the true keypoints: the median, and the standard deviation of the logarithm. Measured on 297
hands, as are the next three."""

_ABOVE, _SHIFT_SPREAD = 0.05, 0.05
"""How far their middles lie towards the fingers, and the standard deviation along each axis; in
sides of the squares about the true keypoints."""

_TURN_SPREAD = 0.2
"""Standard deviation of their turn, in radians."""

_MIN_PRESENCE_LOGIT = math.log(MIN_PRESENCE / (1 - MIN_PRESENCE))

_MAX_DISTANCE = 0.25
"""Largest mean distance, in crop sides, of what is seen of a hand from where it is: beyond, another
hand or none is meant, from which nothing can be learned."""


def see_keypoints(
    key: Array,
    config: LandmarkNetConfig,
    variables: dict,
    image: Float[Array, "b h h 3"],
    true: Float[Array, "b 21 3"],
) -> Float[Array, "b 21 3"]:
    """Crop coordinates, depth relative to the wrist in crop sides, of the keypoints of right hands;
    NaN where the network sees no hand, a left one, or one elsewhere. Pure and jit-able.

    Half of the pictures are shown in the mirror: the network errs to one side, and `palm` takes the
    mean of both.

    Args:
      variables: the network's.
      image: sRGB-encoded, 0 to 1.
      true: where the hands are, as what comes out.
    """
    square_key, mirror_key = jax.random.split(hash_key(key))
    to_square = _square_about(square_key, true[..., :2])
    is_mirrored = jax.random.bernoulli(mirror_key, 0.5, (len(image),))
    seen = to_square.of_image(image, config.image_size, by_picture=True)
    seen = jnp.where(is_mirrored[:, None, None, None], seen[:, :, ::-1], seen)
    answer = build_landmark_net(config).apply(variables, seen, train=False)
    mirrored = mirrored_keypoints(answer.keypoints, config.image_size)
    points = jnp.where(is_mirrored[:, None, None], mirrored, answer.keypoints)
    points = keypoints_in_square(points, config.image_size)
    points = to_square.inverse().of_points(points)
    is_right = (answer.right_logit > 0) != is_mirrored
    is_seen = is_right & (answer.presence_logit > _MIN_PRESENCE_LOGIT) & _is_near(points, true)
    return jnp.where(is_seen[:, None, None], points, jnp.nan)


def _square_about(key: Array, keypoints: Float[Array, "b 21 2"]) -> PictureSimilarity:
    """From crop coordinates to those of the squares that the network sees."""
    turn_key, side_key, shift_key = jax.random.split(key, 3)
    centre, side, angle = place_square(keypoints)
    angle = angle + _TURN_SPREAD * jax.random.normal(turn_key, angle.shape)
    turn = clockwise_turn(-angle)
    above = jnp.array([0, -_ABOVE]) + _SHIFT_SPREAD * jax.random.normal(shift_key, centre.shape)
    centre = centre + side[:, None] * jnp.einsum("bji,bj->bi", turn, above, precision="highest")
    side = side * _SIDE * jnp.exp(_SIDE_SPREAD * jax.random.normal(side_key, side.shape))
    middle = jnp.einsum("bij,bj->bi", turn, 0.5 - centre, precision="highest")
    return PictureSimilarity(turn, 1 / side, middle / side[:, None])


def _is_near(points: Float[Array, "b 21 3"], true: Float[Array, "b 21 3"]) -> Bool[Array, "b"]:
    distance = jnp.linalg.norm((points - true)[..., :2], axis=-1)
    return distance.mean(axis=-1) < _MAX_DISTANCE
