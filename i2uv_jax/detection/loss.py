"""What a detector learns from: heat maps with a bump at each hand, and the hand's place and size.

As in "Objects as Points" (Zhou et al. 2019, equation 1) the heat maps' loss is focal: cells near a
middle count less the nearer they are. Place and size are learned in the whole of a bump, not in the
middle's cell alone: hands are few, and any cell may come out as the peak.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float

from i2uv_jax.models.detector import DetectorOutput
from i2uv_jax.types import SceneBatch

_BUMP = 0.09
_SMALLEST_BUMP_CELLS = 0.7
"""Standard deviation of a bump: the first in sides of the hand's box, but at least the second."""
_NEAR = 0.5
"""Height of the bump above which a cell learns place and size."""
_FOCUS, _NEARNESS = 2, 4
"""Exponents of the focal loss."""
_WEIGHTS = {"heat": 1.0, "offset": 0.5, "side": 1.0}


@struct.dataclass
class DetectionTargets:
    """What the maps should say, cell by cell."""

    heat: Float[Array, "b g g 2"]
    """1 in the cell of a hand's middle, falling off around it."""
    counts: Bool[Array, "b g g"]
    """False within the boxes of doubtful hands."""
    offset: Float[Array, "b g g 2"]
    log_side: Float[Array, "b g g"]
    nearness: Float[Array, "b g g"]
    """Weight of place and size: the bump's height near a hand's middle, else 0."""


def detection_targets(batch: SceneBatch, grid: int) -> DetectionTargets:
    """The targets of scenes for maps of `grid` x `grid` cells. Jit-able."""
    axis = np.arange(grid, dtype=np.float32)
    cells = np.stack(np.meshgrid(axis, axis), axis=-1)  # g g 2, x first
    middle = batch.centre * grid - 0.5
    own_cell = jnp.clip(jnp.floor(batch.centre * grid), 0, grid - 1)
    away = cells - own_cell[:, :, None, None]  # b n g g 2
    sigma = jnp.maximum(_BUMP * batch.side * grid, _SMALLEST_BUMP_CELLS)
    bumps = jnp.exp(-(away**2).sum(axis=-1) / (2 * sigma[..., None, None] ** 2))
    bumps *= batch.is_shown[..., None, None]
    sides = jnp.stack([batch.is_left, ~batch.is_left], axis=-1)  # LEFT, RIGHT
    heat = jnp.max(bumps[..., None] * sides[:, :, None, None], axis=1)

    nearest = jnp.argmax(bumps, axis=1)
    height = jnp.max(bumps, axis=1)
    chosen = jax.nn.one_hot(nearest, bumps.shape[1], axis=1)  # b n g g
    offset = jnp.einsum("bngh,bnghc->bghc", chosen, middle[:, :, None, None] - cells)
    log_side = jnp.einsum("bngh,bn->bgh", chosen, jnp.log(jnp.maximum(batch.side, 1e-3)))
    inside = jnp.max(jnp.abs((cells + 0.5) / grid - batch.centre[:, :, None, None]), axis=-1)
    doubtful = (inside < batch.side[..., None, None] / 2) & batch.is_doubtful[..., None, None]
    return DetectionTargets(
        heat=heat,
        counts=~doubtful.any(axis=1) | (height == 1),
        offset=offset,
        log_side=log_side,
        nearness=jnp.where(height > _NEAR, height, 0.0),
    )


def detection_loss(
    output: DetectorOutput, batch: SceneBatch
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum of the focal loss and the L1 losses of place and size, and its terms."""
    targets = detection_targets(batch, output.log_side.shape[1])
    logits, heat = output.heat_logits, targets.heat
    chance = jax.nn.sigmoid(logits)
    hit = (1 - chance) ** _FOCUS * -jax.nn.log_sigmoid(logits)
    false_alarm = (1 - heat) ** _NEARNESS * chance**_FOCUS * -jax.nn.log_sigmoid(-logits)
    is_middle = heat == 1
    per_cell = jnp.where(is_middle, hit, false_alarm) * targets.counts[..., None]
    weight = targets.nearness
    total_weight = jnp.maximum(weight.sum(), 1)
    terms = {
        "heat": per_cell.sum() / jnp.maximum(is_middle.sum(), 1),
        "offset": (weight[..., None] * jnp.abs(output.offset - targets.offset)).sum()
        / (2 * total_weight),
        "side": (weight * jnp.abs(output.log_side - targets.log_side)).sum() / total_weight,
    }
    total = sum(_WEIGHTS[name] * value for name, value in terms.items())
    return total, {**terms, "total": total}
