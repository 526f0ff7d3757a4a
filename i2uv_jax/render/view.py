"""From which side a hand is seen: random rotations into the camera frame. Pure and jit-able."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.hand.model import apply3, axis_angle_matrix, matmul3

_DISTANCES_M = (0.22, 2.0)


def sample_view(
    key: Array,
    tilt_degrees: float | None,
    *,
    free_share: float = 0.0,
) -> Float[Array, "3 3"]:
    """A rotation from the hand frame to the camera frame.

    Args:
      tilt_degrees: standard deviation of the angle between the hand's long axis and the picture
        plane; turns about that axis are uniform. None makes all rotations equally likely.
      free_share: share of hands that are seen from any direction, all equally likely.
    """
    if tilt_degrees is None:
        return uniform_rotation(key)
    spin_key, tilt_key, roll_key = jax.random.split(key, 3)
    spin, roll = (jax.random.uniform(one, maxval=2 * jnp.pi) for one in (spin_key, roll_key))
    tilt = jnp.deg2rad(tilt_degrees) * jax.random.normal(tilt_key)
    # In the hand frame y runs from the wrist to the fingers: about it first, then out of the
    # picture plane, then within it.
    x_axis, y_axis, z_axis = jnp.eye(3)
    about_hand = axis_angle_matrix(y_axis, spin)
    out_of_plane, in_plane = axis_angle_matrix(x_axis, tilt), axis_angle_matrix(z_axis, roll)
    rotation = matmul3(in_plane, matmul3(out_of_plane, about_hand))
    if free_share == 0:
        return rotation
    lot_key, free_key = jax.random.split(jax.random.fold_in(key, 1))
    is_free = jax.random.bernoulli(lot_key, free_share)
    return jnp.where(is_free, uniform_rotation(free_key), rotation)


def roll_upright(
    key: Array,
    rotation: Float[Array, "3 3"],
    palm: Float[Array, "3"],
    *,
    share: Float[Array, ""] | float,
    jitter: Float[Array, ""] | float,
) -> Float[Array, "3 3"]:
    """A rotation followed by a roll in the picture plane, after which the palm points up.

    Args:
      palm: from the wrist to the middle knuckle, hand frame, any unit.
      share: share of hands that are rolled.
      jitter: standard deviation of the error, along each axis of the picture and in lengths of the
        palm, with which the palm's direction is known: a palm in the picture plane comes to stand
        upright to about that many radians, one that points at the camera in no certain direction.
    """
    lot_key, error_key = jax.random.split(key)
    seen = apply3(rotation, normalize(palm))[:2] + jitter * jax.random.normal(error_key, (2,))
    # From where the palm points (x right, y down) to (0, -1).
    roll = -jnp.pi / 2 - jnp.arctan2(seen[1], seen[0])
    rolled = matmul3(axis_angle_matrix(jnp.array([0.0, 0.0, 1.0]), roll), rotation)
    return jnp.where(jax.random.bernoulli(lot_key, share), rolled, rotation)


def sample_distance(key: Array) -> Float[Array, ""]:
    """Metres from the camera to the hand, by which perspective is strong or weak.

    From a hand held into a wide webcam, whose nearer half is seen one and a half times as large, to
    one in a telephoto picture, where it is a twentieth larger.
    """
    nearest, farthest = _DISTANCES_M
    return jnp.exp(jax.random.uniform(key, minval=np.log(nearest), maxval=np.log(farthest)))


def sample_crop_shift(
    key: Array,
    box: Float[Array, "2"],
    jitter: float,
    truncation_share: float,
) -> Float[Array, "2"]:
    """Where a crop's centre lies from that of the hand's box (x, y), in crop sides.

    Args:
      box: width and height of the hand's box, in crop sides.
      jitter: farthest that the two lie apart along each axis.
      truncation_share: share of crops that cut off up to two fifths of the box on one side.
    """
    lot, horizontal, side, cut, *offsets = jax.random.uniform(key, (6,))
    shift = jitter * (2 * jnp.stack(offsets) - 1)
    cut = 0.05 + 0.35 * cut
    # The crop's edge stands where `cut` of the box lies beyond it.
    far = (0.5 - (0.5 - cut) * box) * jnp.where(side < 0.5, -1, 1)
    along = jnp.where(horizontal < 0.5, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    truncated = along * far + (1 - along) * shift
    return jnp.where(lot < truncation_share, truncated, shift)


def uniform_rotation(key: Array) -> Float[Array, "3 3"]:
    """Any rotation, all equally likely: from a random unit quaternion (Shoemake 1992)."""
    w, x, y, z = normalize(jax.random.normal(key, (4,)))
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
