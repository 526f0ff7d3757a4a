"""Further looks: close-ups stand as promised, and what is seen in them is told of the picture."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.geometry.keypoints import MIDDLE_MCP
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.models.looks import FILL, closeup, see_hands

SIZE = 32


class Pointer:
    """A network that sees a hand as two dots, the wrist red and the middle knuckle green.

    A UV map of 2 x 2 texels: wrist, knuckle, and both once more. Depth tells how it saw them: 1 for
    a close-up, its dots far apart and one above the other, else 0.
    """

    by_picture = False

    def __init__(self, looks):
        self.config = SimpleNamespace(looks=looks, image_size=SIZE)

    def apply(self, variables, image, keypoints=None, *, train, super_resolve=True):
        centres = (jnp.arange(SIZE) + 0.5) / SIZE
        grid = jnp.stack(jnp.meshgrid(centres, centres), axis=-1)

        def centroid(channel):
            weights = image[..., channel]
            moments = jnp.einsum("bij,ijd->bd", weights, grid)
            return moments / weights.sum(axis=(1, 2))[:, None]

        wrist, knuckle = centroid(0), centroid(1)
        up = (wrist - knuckle) @ jnp.array([0.0, 1.0])
        depth = (up > 0.7).astype(jnp.float32)[:, None]
        points = [jnp.concatenate([p, depth], axis=-1) for p in (wrist, knuckle) * 2]
        uv_map = jnp.stack(points, axis=1).reshape(-1, 2, 2, 3)
        return HandNetOutput(
            stage_uv_maps=(),
            uv_map=uv_map,
            presence_logit=depth[:, 0],
            log_error=jnp.full((len(image), 2, 2), jnp.log(0.1)),
        )


def mesh_from_uv_map(uv_map):
    points = uv_map.reshape(-1, 4, 3)
    keypoints = jnp.tile(points[:, :1], (1, 21, 1)).at[:, MIDDLE_MCP].set(points[:, 1])
    return points, keypoints


def picture(wrist, knuckle, side=4 * SIZE):
    """Two round dots, a few pixels wide."""
    centres = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(centres, centres), axis=-1)
    dots = [np.exp(-(((grid - p) / 0.01) ** 2).sum(axis=-1) / 2) for p in (wrist, knuckle)]
    return np.stack([*dots, np.zeros_like(dots[0])], axis=-1).astype(np.float32)


def dots(angle_degrees, length=0.5, centre=(0.45, 0.55)):
    """Wrist and knuckle; at 0 degrees the knuckle is above, and angles turn clockwise."""
    angle = np.deg2rad(angle_degrees)
    half = length / 2 * np.array([np.sin(angle), -np.cos(angle)])
    return np.array(centre) - half, np.array(centre) + half


@pytest.mark.parametrize("angle", [0, 37, 90, 180, -120])
def test_what_a_closeup_shows_is_told_in_the_picture_s_coordinates(angle):
    wrist, knuckle = dots(angle)
    image = jnp.asarray(picture(wrist, knuckle))[None]
    once, twice = (
        see_hands(Pointer(looks), {}, image, mesh_from_uv_map).uv_map[0] for looks in (1, 2)
    )
    np.testing.assert_allclose(once[0, :, :2], [wrist, knuckle], atol=0.005)
    np.testing.assert_allclose(twice[0, :, :2], [wrist, knuckle], atol=0.005)
    np.testing.assert_array_equal(once[..., 2], 0)
    # Depth counts in sides of what the network saw: here of a close-up of 0.5 / FILL sides.
    np.testing.assert_allclose(twice[..., 2], 0.5 / FILL, rtol=0.02)


class Repeater(Pointer):
    """A `Pointer` that also keeps which keypoints it was told, and if SRNet was to work."""

    def __init__(self, looks):
        super().__init__(looks)
        self.told = []
        self.super_resolved = []

    def apply(self, variables, image, keypoints=None, *, train, super_resolve=True):
        self.told.append(keypoints)
        self.super_resolved.append(super_resolve)
        return super().apply(variables, image, train=train)


def test_told_keypoints_follow_into_the_closeup():
    wrist, knuckle = dots(37)
    keypoints = jnp.zeros((1, 21, 3)).at[0, 0].set(jnp.append(wrist, 0.1))
    keypoints = keypoints.at[0, 1].set(jnp.append(knuckle, jnp.nan)).at[0, 2].set(jnp.nan)
    model = Repeater(looks=2)
    see_hands(model, {}, jnp.asarray(picture(wrist, knuckle))[None], mesh_from_uv_map, keypoints)
    first, second = model.told
    assert model.super_resolved == [False, True]
    np.testing.assert_array_equal(first, keypoints)
    # Upright in the middle, FILL long; depths grow with the picture.
    scale = FILL / 0.5
    expected = [0.5, 0.5 + FILL / 2, 0.1 * scale], [0.5, 0.5 - FILL / 2, np.nan], [np.nan] * 3
    np.testing.assert_allclose(second[0, :3], expected, atol=0.02)


def test_presence_is_what_the_last_look_says():
    image = jnp.asarray(picture(*dots(37)))[None]
    # This network is sure of close-ups alone.
    once, twice = (see_hands(Pointer(looks), {}, image, mesh_from_uv_map) for looks in (1, 2))
    assert (once.presence_logit, twice.presence_logit) == (0, 1)


def test_expected_errors_count_in_sides_of_the_picture():
    # This network expects 0.1 sides of what it sees: of a close-up of 0.5 / FILL sides.
    image = jnp.asarray(picture(*dots(37)))[None]
    once, twice = (
        see_hands(Pointer(looks), {}, image, mesh_from_uv_map).texel_error for looks in (1, 2)
    )
    np.testing.assert_allclose(once, np.full((1, 2, 2), 0.1), rtol=1e-6)
    np.testing.assert_allclose(twice, np.full((1, 2, 2), 0.1 * 0.5 / FILL), rtol=0.02)


def test_pictures_of_a_batch_are_framed_each_for_itself():
    images = jnp.stack([jnp.asarray(picture(*dots(angle))) for angle in (0, 90, 200)])
    uv_map = see_hands(Pointer(3), {}, images, mesh_from_uv_map).uv_map
    expected = np.stack([dots(angle) for angle in (0, 90, 200)])
    np.testing.assert_allclose(uv_map[:, 0, :, :2], expected, atol=0.005)


def test_the_palm_of_a_closeup_points_up_and_the_box_fills_it():
    key = jax.random.key(0)
    vertices = 0.5 + 0.2 * jax.random.normal(key, (5, 60, 2))
    keypoints = vertices[:, :21]
    frame = closeup(vertices, keypoints)
    palm = frame(keypoints)[:, MIDDLE_MCP] - frame(keypoints)[:, 0]
    np.testing.assert_allclose(palm[:, 0], 0, atol=1e-4)
    assert (palm[:, 1] < 0).all()
    low, high = frame(vertices).min(axis=1), frame(vertices).max(axis=1)
    np.testing.assert_allclose((high - low).max(axis=-1), FILL, rtol=1e-4)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=1e-4)


def test_a_hand_shrunk_to_a_point_still_gives_a_finite_closeup():
    frame = closeup(jnp.full((1, 60, 2), 0.3), jnp.full((1, 21, 2), 0.3))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(frame))


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="a side divisible by 32, got 40"):
        see_hands(Pointer(2), {}, jnp.zeros((1, 40, 40, 3)), mesh_from_uv_map)
