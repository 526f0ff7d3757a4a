"""From which side a hand is seen: random rotations into the camera frame. Pure and jit-able."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.hand.model import axis_angle_matrix, matmul3


def sample_view(key: Array, tilt_degrees: float | None) -> Float[Array, "3 3"]:
    """A rotation from the hand frame to the camera frame.

    Args:
      tilt_degrees: standard deviation of the angle between the hand's long axis and the picture
        plane; turns about that axis and within the plane are uniform. None makes all rotations
        equally likely.
    """
    if tilt_degrees is None:
        return _uniform_rotation(key)
    spin_key, tilt_key, roll_key = jax.random.split(key, 3)
    spin, roll = (jax.random.uniform(one, maxval=2 * jnp.pi) for one in (spin_key, roll_key))
    tilt = jnp.deg2rad(tilt_degrees) * jax.random.normal(tilt_key)
    # In the hand frame y runs from the wrist to the fingers: about it first, then out of the
    # picture plane, then within it.
    x_axis, y_axis, z_axis = jnp.eye(3)
    about_hand = axis_angle_matrix(y_axis, spin)
    out_of_plane, in_plane = axis_angle_matrix(x_axis, tilt), axis_angle_matrix(z_axis, roll)
    return matmul3(in_plane, matmul3(out_of_plane, about_hand))


def _uniform_rotation(key):
    """From a random unit quaternion (Shoemake 1992)."""
    w, x, y, z = normalize(jax.random.normal(key, (4,)))
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
