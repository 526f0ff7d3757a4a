"""Several looks at one picture: each further one at a close-up that the look before it framed.

A network that need not know every turn and size of a hand learns the rest sooner. Trained mostly on
close-ups (`RenderConfig.closeup_share`), hands that stand upright and fill the picture, it still
tells well enough where any hand is. What it says then is enough to make a close-up of the picture.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.geometry.similarity import PictureSimilarity, upright_turn
from i2uv_jax.geometry.uv_map import UvTables, vertices_from_uv_map
from i2uv_jax.models.hand_net import HandNet, HandNetOutput

FILL = 0.8
"""The longer side of the hand's box in a close-up, in crop sides."""

_SIDES = (0.5, 1.5)
"""Shortest and longest side of a close-up, in sides of the picture, whatever the network says: a
crop has twice the pixels of a look (`HandNetConfig.crop_size`), so there is no more to be seen."""

_SUPERSAMPLING = 2
"""Samples per pixel of a close-up along each side."""


MeshFromUvMap = Callable[
    [Float[Array, "b m m 3"]], tuple[Float[Array, "b v 3"], Float[Array, "b 21 3"]]
]
"""Vertices and keypoints of maps, in their coordinates."""


class SeenHands(NamedTuple):
    """What the looks at a batch of pictures come to; a pytree."""

    uv_map: Float[Array, "b m m 3"]
    """In coordinates of the pictures."""
    presence_logit: Float[Array, "b"] | None
    """What the last look says about a right hand's presence; None of models that do not tell."""
    texel_error: Float[Array, "b k k"] | None
    """The distance from the truth that the last look expects of each texel of AffineNet's finest
    map, in sides of the pictures; None of models that do not tell."""


def see_hands(
    model: HandNet,
    variables: dict,
    image: Float[Array, "b h h 3"],
    mesh_from_uv_map: MeshFromUvMap,
    keypoints: Float[Array, "b 21 3"] | None = None,
) -> SeenHands:
    """The model's UV maps of pictures, and how sure it is that they show right hands; jit-able.

    Args:
      image: its side is a multiple of the config's `image_size`: close-ups are made of what the
        first look does not see of it.
      mesh_from_uv_map: see `mesh_reader`.
      keypoints: what is known of the keypoints, in coordinates of the pictures; see `HandNet`.

    Raises:
      ValueError: the pictures' side is no multiple of the model's, or it takes no keypoints.
    """
    size, num_closeups = model.config.image_size, model.config.looks - 1

    def look(image: Float[Array, "b h h 3"], keypoints: Array | None, number: int) -> HandNetOutput:
        # Where the hand is, coarse maps tell as well.
        is_last = number == num_closeups
        shrunk = _shrunk(image, size)
        return model.apply(variables, shrunk, keypoints, train=False, super_resolve=is_last)

    output = look(image, keypoints, 0)
    uv_map, texel_error = output.uv_map, _expected_error(output)
    for number in range(1, num_closeups + 1):
        vertices, found = mesh_from_uv_map(uv_map)
        to_closeup = closeup(vertices[..., :2], found[..., :2])
        seen = to_closeup.of_image(image, _SUPERSAMPLING * size, by_picture=model.by_picture)
        told = None if keypoints is None else to_closeup.of_points(keypoints)
        output = look(seen, told, number)
        to_picture = to_closeup.inverse()
        uv_map, texel_error = to_picture.of_uv_map(output.uv_map), _expected_error(output)
        if texel_error is not None:
            texel_error = to_picture.of_lengths(texel_error)
    return SeenHands(uv_map, output.presence_logit, texel_error)


def mesh_reader(tables: UvTables, keypoint_regressor: Float[np.ndarray, "21 v"]) -> MeshFromUvMap:
    """What reads meshes off maps of the tables' size; jit-able."""

    def mesh_from_uv_map(uv_map: Float[Array, "b m m 3"]) -> tuple[Array, Array]:
        vertices = vertices_from_uv_map(tables, uv_map)
        return vertices, regress_keypoints(keypoint_regressor, vertices)

    return mesh_from_uv_map


def regress_keypoints(
    keypoint_regressor: Float[np.ndarray, "21 v"], vertices: Float[Array, "b v c"]
) -> Float[Array, "b 21 c"]:
    """Means of vertices, or of what belongs to them, at full float32 on every device."""
    return jnp.einsum(
        "kv,bvc->bkc", keypoint_regressor, vertices, precision=jax.lax.Precision.HIGHEST
    )


def _expected_error(output: HandNetOutput) -> Float[Array, "b k k"] | None:
    """In sides of what the network saw."""
    return None if output.log_error is None else jnp.exp(output.log_error)


def closeup(
    vertices: Float[Array, "b v 2"], keypoints: Float[Array, "b 21 2"]
) -> PictureSimilarity:
    """The way into the picture in which the palm points up and the hand's box has its place.

    Args:
      vertices, keypoints: in crop coordinates.
    """
    turn = upright_turn(keypoints[:, MIDDLE_MCP] - keypoints[:, WRIST])
    turned = jnp.einsum("bij,bvj->bvi", turn, vertices - 0.5, precision="highest")
    low, high = turned.min(axis=1), turned.max(axis=1)
    side = jnp.clip((high - low).max(axis=-1) / FILL, *_SIDES)
    return PictureSimilarity(turn, 1 / side, -(low + high) / 2 / side[:, None])


def _shrunk(image: Float[Array, "b h h 3"], size: int) -> Float[Array, "b size size 3"]:
    """Means over squares of pixels."""
    batch, side, _, channels = image.shape
    if side % size:
        raise ValueError(f"image: expected a side divisible by {size}, got {side}")
    block = side // size
    if block == 1:
        return image
    return image.reshape(batch, size, block, size, block, channels).mean(axis=(2, 4))
