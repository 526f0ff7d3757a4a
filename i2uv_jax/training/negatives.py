"""Pictures without a right hand, shown beside a batch's own: what teaches a model to tell.

Most are mirror images of the batch's own pictures, which show left hands and cost nothing; the
others show no hand (`data.handless`). The network sees all of them at once, in one batch norm; the
losses on maps count the batch's own pictures alone.

Each device gets the negatives of its own pictures, behind them: no picture changes devices.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from i2uv_jax.config import TrainConfig
from i2uv_jax.geometry.camera import mirrored_in_crop
from i2uv_jax.losses import presence_loss
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training.gradient import LossFunction
from i2uv_jax.training.sharding import batch_sharding
from i2uv_jax.types import Batch

_HANDLESS_SHARE = 1 / 3
"""Of the negatives. Telling left from right is the harder task."""


def count_negatives(absent_share: float, num_pictures: int) -> tuple[int, int]:
    """How many mirror images and how many pictures without a hand go with so many pictures."""
    total = max(round(absent_share * num_pictures), 1)
    num_handless = round(_HANDLESS_SHARE * total)
    return total - num_handless, num_handless


def count_handless(absent_share: float, config: TrainConfig, num_devices: int) -> int:
    """How many pictures without a hand a whole training batch takes."""
    num_parts = num_devices * config.microbatches
    return num_parts * count_negatives(absent_share, config.batch_size // num_parts)[1]


def build_network_inputs(
    absent_share: float, mesh: Mesh
) -> Callable[
    [Batch],
    tuple[Float[Array, "b+n h w 3"]] | tuple[Float[Array, "b+n h w 3"], Float[Array, "b+n 21 3"]],
]:
    """The function that gives the pictures of a (micro)batch with their negatives, and the told
    keypoints of both where there are any. Jit-able.

    Mirror images come with mirrored keypoints. Pictures without a hand get those of the first
    pictures, as a network that sees what is not there might tell them.

    Args:
      absent_share: see `LossConfig`.
      mesh: the devices that share the batch, in equal parts.
    """

    def network_inputs(batch: Batch) -> tuple[Array, ...]:
        parts = _split_by_device(batch.image, mesh)
        num_pictures, num_handless = parts.shape[1], 0
        num_mirrored, _ = count_negatives(absent_share, num_pictures)
        # Evenly spread: for most batch sizes these are the same pictures on any number of devices.
        chosen = np.arange(num_mirrored) * num_pictures // num_mirrored
        pictures = [parts, parts[:, chosen, :, ::-1]]
        if batch.handless is not None:
            handless = _split_by_device(batch.handless, mesh)
            pictures.append(handless)
            num_handless = handless.shape[1]
        joined = _join(jnp.concatenate(pictures, axis=1), mesh)
        if batch.told_keypoints is None:
            return (joined,)
        told = _split_by_device(batch.told_keypoints, mesh)
        mirrored = mirrored_in_crop(told[:, chosen])
        keypoints = jnp.concatenate([told, mirrored, told[:, :num_handless]], axis=1)
        return joined, _join(keypoints, mesh)

    return network_inputs


def build_presence_loss(compute_loss: LossFunction, weight: float, mesh: Mesh) -> LossFunction:
    """A loss on maps, and with it that of presence, for what `build_network_inputs` gives.

    Its terms are those of `compute_loss`, and "presence".

    Args:
      compute_loss: of the batch's own pictures.
      weight: of the presence's cross-entropy.
    """

    def compute(output: HandNetOutput, batch: Batch) -> tuple[Array, dict[str, Array]]:
        num_pictures = batch.image.shape[0] // mesh.size

        def own(leaf: Array) -> Array:
            return _join(_split_by_device(leaf, mesh)[:, :num_pictures], mesh)

        loss, terms = compute_loss(jax.tree.map(own, output), batch)
        logits = _split_by_device(output.presence_logit, mesh)
        presence = presence_loss(logits[:, :num_pictures], logits[:, num_pictures:])
        total = loss + weight * presence
        return total, {**terms, "presence": presence, "total": total}

    return compute


def _split_by_device(leaf: Array, mesh: Mesh) -> Array:
    """(d n, ...) as (d, n, ...) with a row for each of the d devices."""
    return leaf.reshape(mesh.size, -1, *leaf.shape[1:])


def _join(parts: Array, mesh: Mesh) -> Array:
    """The way back, with each device's pictures where they were."""
    joined = parts.reshape(-1, *parts.shape[2:])
    return jax.lax.with_sharding_constraint(joined, batch_sharding(mesh))
