"""Runs a function on the covered samples of pictures only. Pure and jit-able.

Three quarters of a typical crop show no hand, and shading is the dearest part of a picture. The
covered samples of each picture are counted and cut into pieces of fixed size, each of one picture;
a loop works through the pieces of the whole batch, a fixed number a turn. Memory is bounded, no
sample is ever dropped, and what a sample gets does not depend on the others.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

_PIECE = 256
"""Samples of a piece."""
_PIECES_PER_PICTURE = 2
"""Pieces that one turn handles, times the batch size."""


def map_covered(
    function: Callable[[Int[Array, ""], Int[Array, "m"]], Float[Array, "c m"]],
    covered: Bool[Array, "b n"],
    values: Float[Array, "b n c"],
) -> Float[Array, "b n c"]:
    """Values of `function` at the covered samples, those given elsewhere.

    Args:
      function: from a picture's number and samples of it (from 0 to n - 1) to their values. It is
        also called for samples that are not covered, to fill pieces up.
      covered: which samples count.
      values: of the other samples.
    """
    batch, num_samples = covered.shape
    padded = -(-num_samples // _PIECE) * _PIECE
    count = _running_count(jnp.pad(covered, ((0, 0), (0, padded - num_samples))))
    last = count[:, -1, -1, -1]
    first = jnp.concatenate([jnp.zeros(1, jnp.int32), last[:-1]])
    pieces = -(-(last - first) // _PIECE)
    end = jnp.cumsum(pieces)
    step = _PIECES_PER_PICTURE * batch
    nowhere = batch * num_samples

    def write(values, place, found):
        rows = found.transpose(0, 2, 1)
        return values.at[place].set(rows, mode="drop", wrap_negative_indices=False)

    def turn(start):
        item = start + jnp.arange(step)
        owner = jnp.searchsorted(end, item, side="right", method="scan_unrolled")
        owner = jnp.minimum(owner, batch - 1)
        piece = item - (end[owner] - pieces[owner])
        rank = (first[owner] + _PIECE * piece)[:, None] + jnp.arange(_PIECE)
        found = jnp.searchsorted(count.reshape(-1), rank, side="right", method="scan")
        # What fills the last piece up, and what follows the last piece, may be another picture's.
        sample = jnp.clip(found - padded * owner[:, None], 0, num_samples - 1)
        place = jnp.where(rank < last[owner, None], num_samples * owner[:, None] + sample, nowhere)
        return place, jax.vmap(function)(owner, sample)

    # What a turn finds is written by the next one: so it is stored as `function` gives it, which
    # CPUs vectorise, and not worked out as a part of the scatter, which they do not.
    none_yet = (
        jnp.full((step, _PIECE), nowhere),
        jnp.zeros((step, values.shape[2], _PIECE), values.dtype),
    )
    _, values, *last_found = jax.lax.while_loop(
        lambda state: state[0] < end[-1],
        lambda state: (state[0] + step, write(*state[1:]), *turn(state[0])),
        (jnp.int32(0), values.reshape(nowhere, -1), *none_yet),
    )
    return write(values, *last_found).reshape(batch, num_samples, -1)


def _running_count(covered):
    """How many samples (b, n) are covered, up to each, as (b, pieces, 16, 16).

    Products with small triangles, as a running sum over so many samples is slow on CPUs.
    """
    side = math.isqrt(_PIECE)
    triangle = np.triu(np.ones((side, side), np.float32))
    cells = covered.reshape(len(covered), -1, side, side).astype(jnp.float32) @ triangle
    before = cells[..., -1] @ (triangle - np.eye(side, dtype=np.float32))
    in_piece = (before[..., -1] + cells[..., -1, -1]).astype(jnp.int32)
    before_piece = (jnp.cumsum(in_piece.reshape(-1)) - in_piece.reshape(-1)).reshape(in_piece.shape)
    return (cells + before[..., None]).astype(jnp.int32) + before_piece[..., None, None]
