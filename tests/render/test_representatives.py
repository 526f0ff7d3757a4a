"""Which samples of a pixel are shaded, on two triangles that meet in the middle of a picture."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.render.rasterise import find_visible_faces
from i2uv_jax.render.representatives import find_representatives

SIZE = 3


def representatives(supersampling):
    """Left of the middle face 0, right of it face 1; the lowest third of the picture is empty."""
    fine = SIZE * supersampling
    points = fine * jnp.array([[0, -2], [0, 2 / 3], [0.5, -2], [0.5, 2 / 3], [1, -2], [1, 2 / 3]])
    left, right = [[0, 1, 2], [2, 1, 3]], [[2, 3, 4], [4, 3, 5]]
    seen = find_visible_faces(
        points[None], jnp.ones((1, 6)), np.array(left + right), height=fine, width=fine
    )
    return find_representatives(seen, supersampling)


def test_one_sample_in_the_middle_where_all_see_one_face():
    shown = representatives(2)
    face, place = np.asarray(shown.face[0]), np.asarray(shown.place[0])
    first, second = face.reshape(2, SIZE, SIZE)
    # Its samples at 1/12 and 3/12 of the picture's width see the left side's lower triangle.
    assert first[1, 0] == 1 and second[1, 0] == -1
    np.testing.assert_allclose(place[SIZE * 1], [1 / 6, 1 / 2], atol=1e-6)


def test_two_samples_where_two_faces_meet_and_none_where_nothing_is():
    shown = representatives(2)
    first, second = np.asarray(shown.face[0]).reshape(2, SIZE, SIZE)
    assert first[1, 1] in (0, 1) and second[1, 1] in (2, 3)
    assert (first[2] == -1).all() and (second[2] == -1).all()


@pytest.mark.parametrize("supersampling", [1, 2, 3])
def test_colours_are_those_of_what_is_seen(supersampling):
    shown = representatives(supersampling)
    right = (shown.face >= 2)[..., None] * jnp.ones(3)
    mean = np.asarray(shown.mean_colour(right))[0, ..., 0]
    np.testing.assert_allclose(mean[:2, 0], 0)
    np.testing.assert_allclose(mean[:2, 2], 1)
    np.testing.assert_allclose(mean[2], 0)
    if supersampling == 2:
        np.testing.assert_allclose(mean[:2, 1], 0.5)
