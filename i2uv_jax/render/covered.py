"""Runs a function on the covered samples of pictures only. Pure and jit-able.

Three quarters of a typical crop show no hand, and shading is the dearest part of a picture. The
covered samples of each picture are listed and cut into pieces of fixed size, each of one picture;
a loop works through the pieces of the whole batch, a fixed number a turn. Memory is bounded, no
sample is ever dropped, and what a sample gets does not depend on the others.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_PIECE = 256
"""Samples of a piece."""
_PIECES_PER_PICTURE = 2
"""Pieces that one turn handles, times the batch size."""


def map_covered(
    function: Callable[[Int[Array, ""], Int[Array, "m"]], Float[Array, "c m"]],
    covered: Bool[Array, "b n"],
    channels: int,
) -> Float[Array, "b n c"]:
    """Values of `function` at the covered samples, zero elsewhere.

    Args:
      function: from a picture's number and samples of it (from 0 to n - 1) to their values. It is
        also called for samples that are not covered, to fill pieces up.
      covered: which samples count.
      channels: how many values it gives for each.
    """
    batch, num_samples = covered.shape
    limit = -(-num_samples // _PIECE)
    order = jnp.cumsum(covered, axis=1) - 1
    picture = jnp.arange(batch)[:, None]
    place = jnp.where(covered, order, limit * _PIECE)
    samples = jnp.zeros((batch, limit * _PIECE), jnp.int32)
    samples = samples.at[picture, place].set(jnp.arange(num_samples)[None], mode="drop")
    samples = samples.reshape(batch * limit, _PIECE)
    pieces = -(-(order[:, -1] + 1) // _PIECE)
    end = jnp.cumsum(pieces)
    step = _PIECES_PER_PICTURE * batch

    def turn(start, values):
        item = start + jnp.arange(step)
        owner = jnp.searchsorted(end, item, side="right", method="scan_unrolled")
        owner = jnp.minimum(owner, batch - 1)
        row = owner * limit + item - (end[owner] - pieces[owner])
        row = jnp.where(item < end[-1], row, batch * limit)
        found = jax.vmap(function)(owner, samples[jnp.minimum(row, batch * limit - 1)])
        return values.at[row].set(found, mode="drop", unique_indices=False)

    _, values = jax.lax.while_loop(
        lambda state: state[0] < end[-1],
        lambda state: (state[0] + step, turn(*state)),
        (jnp.int32(0), jnp.zeros((batch * limit, channels, _PIECE))),
    )
    values = values.transpose(0, 2, 1).reshape(batch * limit * _PIECE, channels)
    found = values[picture * limit * _PIECE + jnp.maximum(order, 0)]
    return jnp.where(covered[..., None], found, 0)
