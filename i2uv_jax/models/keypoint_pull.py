"""How far each texel of a map would have to move for the map's keypoints to be where another
network has seen them.

A decoder stage that is told this may follow it as far as the picture bears it out, and the next
stage sees what is left: features of the told keypoints alone (`keypoint_encoder`) leave their hand
where it was laid at first.
"""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mean_hand import mean_uv_map

_REACH = 0.06
"""Standard deviation of the Gaussian, in hand lengths, by which keypoints share the texels on the
mean hand: half of the distance from one finger to the next."""

MIN_SHARE = 1e-6
"""Of the keypoints near a texel that must be known for it to be moved by them."""


def keypoint_pull(
    uv_map: Float[Array, "b m m 3"], keypoints: Float[Array, "b 21 3"]
) -> tuple[Float[Array, "b m m 3"], Float[Array, "b m m 3"]]:
    """What told keypoints want of each texel; jit-able.

    Args:
      keypoints: in the map's coordinates; NaN is unknown.

    Returns:
      The mean move of the known keypoints near each texel, by coordinate, in the map's units (0
      where none is known), and how much of what is near is known, 0 to 1.
    """
    size = uv_map.shape[1]
    regressor, nearness = keypoint_tables(size)
    is_known = jnp.isfinite(keypoints)
    own = jnp.einsum("kt,btc->bkc", regressor, uv_map.reshape(-1, size**2, 3), precision="highest")
    move = jnp.where(is_known, jnp.where(is_known, keypoints, 0) - own, 0)
    known = jnp.einsum("tk,bkc->btc", nearness, is_known.astype(jnp.float32))
    pull = jnp.einsum("tk,bkc->btc", nearness, move) / jnp.maximum(known, MIN_SHARE)
    shape = (-1, size, size, 3)
    return pull.reshape(shape), jnp.broadcast_to(known.reshape(shape), pull.reshape(shape).shape)


@lru_cache
def keypoint_tables(
    size: int,
) -> tuple[Float[np.ndarray, "21 t"], Float[np.ndarray, "t 21"]]:
    """Of maps with t = size x size texels: the keypoints as sums over texels, and how near each
    keypoint is to each texel (its sum over the keypoints is 1)."""
    hand = load_hand()
    tables = build_tables(hand.atlas, size)
    samples = np.zeros((hand.atlas.num_vertices, size**2))
    rows = np.arange(hand.atlas.num_vertices)[:, None]
    np.add.at(samples, (rows, tables.vertex_texels), tables.vertex_weights)
    texels = mean_uv_map(size).reshape(-1, 1, 3)
    keypoints = hand.keypoint_regressor @ hand.mean_vertices
    squared = ((texels - keypoints) ** 2).sum(axis=-1) / (2 * _REACH**2)
    nearness = np.exp(squared.min(axis=1, keepdims=True) - squared)
    nearness /= nearness.sum(axis=1, keepdims=True)
    regressor = hand.keypoint_regressor @ samples
    return regressor.astype(np.float32), nearness.astype(np.float32)
