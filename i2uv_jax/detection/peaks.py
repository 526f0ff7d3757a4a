"""From a detector's maps to candidates: local maxima of the heat. Pure and jit-able."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.models.detector import LEFT, DetectorOutput

MAX_PEAKS = 12
"""Candidates that are looked at in each picture."""


@struct.dataclass
class Peaks:
    """Candidates for hands, the likeliest first; picture coordinates (see `types.SceneBatch`)."""

    centre: Float[Array, "b k 2"]
    side: Float[Array, "b k"]
    """Of the square box around the hand."""
    score: Float[Array, "b k"]
    """Heat of both sides together, at most 1; 0 fills up where there are fewer maxima."""
    left_share: Float[Array, "b k"]
    """What the left map has of that."""


def find_peaks(output: DetectorOutput, count: int = MAX_PEAKS) -> Peaks:
    """The `count` highest cells that are no lower than their eight neighbours.

    A hand whose side is unclear is warm in both maps, so maxima are those of the sum.
    """
    heat = jax.nn.sigmoid(output.heat_logits)
    total = jnp.minimum(heat.sum(axis=-1), 1)
    batch, grid, _ = total.shape
    padded = jnp.pad(total, ((0, 0), (1, 1), (1, 1)))
    around = [padded[:, y : y + grid, x : x + grid] for y in range(3) for x in range(3)]
    is_peak = total >= jnp.stack(around).max(axis=0)
    score, cell = jax.lax.top_k(jnp.where(is_peak, total, 0).reshape(batch, -1), count)

    def at_peaks(values: Float[Array, "b g g c"]) -> Float[Array, "b k c"]:
        flat = values.reshape(batch, grid * grid, -1)
        return jnp.take_along_axis(flat, cell[..., None], axis=1)

    corner = jnp.stack([cell % grid, cell // grid], axis=-1)
    sides = at_peaks(heat)
    return Peaks(
        centre=(corner + 0.5 + at_peaks(output.offset)) / grid,
        side=jnp.exp(at_peaks(output.log_side[..., None])[..., 0]),
        score=score,
        left_share=sides[..., LEFT] / jnp.maximum(sides.sum(axis=-1), 1e-9),
    )
