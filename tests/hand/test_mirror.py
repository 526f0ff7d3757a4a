import jax.numpy as jnp
import numpy as np

from i2uv_jax.hand.mirror import mirror_faces, mirror_points, mirror_rotations
from i2uv_jax.hand.model import axis_angle_matrix


def _volume(vertices, faces):
    a, b, c = np.moveaxis(np.asarray(vertices)[faces], 1, 0)
    return np.sum(a * np.cross(b, c)) / 6


def test_left_hand_has_its_thumb_on_the_other_side_and_its_outside_outside(hand, samples):
    _, _, posed = samples
    right, left = posed.vertices[0], mirror_points(jnp.asarray(posed.vertices[0]))
    np.testing.assert_allclose(mirror_points(left), right)
    np.testing.assert_allclose(left[:, 0], -right[:, 0])
    volume = _volume(right, hand.faces)
    assert volume > 0
    np.testing.assert_allclose(_volume(left, mirror_faces(hand.faces)), volume, rtol=1e-4)


def test_mirrored_rotations_move_mirrored_points():
    rotation = axis_angle_matrix(jnp.array([0.48, 0.6, 0.64]), 0.7)
    point = jnp.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(
        mirror_rotations(rotation) @ mirror_points(point),
        mirror_points(rotation @ point),
        atol=1e-6,
    )
