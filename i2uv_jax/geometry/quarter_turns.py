"""Quarter turns of pictures and of points in them: exact, since no pixel is resampled. Jit-able.

A picture turns counter-clockwise as seen; with y down one turn takes (x, y) to (y, -x).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_MATRICES = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float32
)
"""Of 0 to 3 turns."""


def turn_image(image: Float[Array, "n n *c"], turns: Int[Array, ""]) -> Float[Array, "n n *c"]:
    """The picture turned by 0 to 3 quarters."""
    return jax.lax.switch(turns, [partial(jnp.rot90, k=k) for k in range(4)], image)


def turn_points(
    points: Float[Array, "*n d"], turns: Int[Array, ""], *, centre: float = 0.0
) -> Float[Array, "*n d"]:
    """Points turned by 0 to 3 quarters about (centre, centre): crop coordinates turn about 0.5.

    What follows x and y on the last axis stays as it is.
    """
    matrix = jnp.take(jnp.asarray(_MATRICES), turns, axis=0, mode="clip")
    plane = (points[..., :2] - centre) @ matrix.T + centre
    return jnp.concatenate([plane, points[..., 2:]], axis=-1)


def turns_to_upright(direction: Float[Array, "*b 2"]) -> Int[Array, "*b"]:
    """How many turns bring a direction (x right, y down) nearest to straight up."""
    heights = jnp.einsum("tj,...j->...t", -_MATRICES[:, 1], direction)
    return jnp.argmax(heights, axis=-1)
