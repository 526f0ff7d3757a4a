"""Keypoints as another network would see them: the true ones with that network's errors.

The errors are those that MediaPipe's hand landmark network makes on rendered hands
(`launch.build_told_keypoints`): each picture gets the error that was made on a hand in much the
same pose, seen from much the same side. What depends on the picture itself, such as its light, is
then left to chance: a model learns that keypoints err, and how far, without a look at 224 x 224
pixels for each of its training pictures.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Float

from i2uv_jax.data.extended import Extension
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.geometry.similarity import upright_turn
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.types import Batch

TOLD_KEYPOINTS_PATH = Path(__file__).parent / "told_keypoints.npz"

_NUM_NEAREST = 8
"""Of how many like hands one lends its error."""
_DEPTH_WEIGHT = 0.5
"""Of a difference in depth beside one in the picture, when hands are compared."""

_ERROR_SCALES = (0.2, 1.0)
"""Range of what each hand's error is scaled by, less what all hands' errors have in common (where
the network means other points than ours): on photos the network errs less than on rendered hands.
"""

_NO_DEPTH_SHARE = 0.1
"""Of hands whose keypoints are told in the picture plane alone."""
_GAPPY_SHARE, _GAP_SHARE = 0.2, 0.25
"""Of hands of which some keypoints are unknown; and of theirs, how many."""


class ToldHands(NamedTuple):
    """Hands and what the network said of them; a pytree.

    In a frame of each hand's own: the wrist is the origin, the middle finger's knuckle stands above
    it in the picture, lengths are in `_spread`s of the true keypoints.
    """

    true: Float[Array, "n 21 3"]
    told: Float[Array, "n 21 3"]


def load_told_hands() -> ToldHands:
    """The hands that come with the package."""
    with np.load(TOLD_KEYPOINTS_PATH, allow_pickle=False) as stored:
        return ToldHands(*(stored[name].astype(np.float32) for name in ToldHands._fields))


def in_own_frame(
    true: Float[Array, "b 21 3"], *others: Float[Array, "b 21 3"]
) -> list[Float[Array, "b 21 3"]]:
    """Keypoints of hands, and whatever else stands beside them, in the frames of `ToldHands`."""
    turn, scale = _upright_turn(true), 1 / _spread(true)
    origin = true[:, WRIST : WRIST + 1]
    return [_turned(turn, scale, points - origin) for points in (true, *others)]


def tell_keypoints(
    key: Array, keypoints: Float[Array, "b 21 3"], hands: ToldHands, told_share: float
) -> Float[Array, "b 21 3"]:
    """Keypoints with errors and gaps, NaN where they are not told. Pure and jit-able.

    Args:
      keypoints: the true ones: crop coordinates, depth relative to the wrist in crop sides.
      told_share: of hands of which anything is told.
    """
    keys = jax.random.split(hash_key(key), 6)
    like_key, scale_key, told_key, depth_key, gappy_key, gap_key = keys
    count = len(keypoints)
    (own,) = in_own_frame(keypoints)
    weight = jnp.array([1, 1, _DEPTH_WEIGHT])
    ours, theirs = ((weight * points).reshape(len(points), -1) for points in (own, hands.true))
    # Largest where the squared distance is least.
    likeness = 2 * ours @ theirs.T - jnp.sum(theirs**2, axis=-1)
    num_nearest = min(_NUM_NEAREST, len(hands.true))
    _, nearest = jax.lax.top_k(likeness, num_nearest)
    which = jax.random.randint(like_key, (count, 1), 0, num_nearest)
    chosen = jnp.take_along_axis(nearest, which, axis=1)[:, 0]
    errors = hands.told - hands.true
    common = errors.mean(axis=0)
    low, high = _ERROR_SCALES
    scale = jax.random.uniform(scale_key, (count, 1, 1), minval=low, maxval=high)
    error = common + scale * (errors[chosen] - common)
    back = jnp.swapaxes(_upright_turn(keypoints), -1, -2)
    told = keypoints + _turned(back, _spread(keypoints), error)

    def share_of_hands(key: Array, share: float) -> Array:
        return jax.random.bernoulli(key, share, (count, 1))

    is_gap = jax.random.bernoulli(gap_key, _GAP_SHARE, keypoints.shape[:2])
    is_gap &= share_of_hands(gappy_key, _GAPPY_SHARE)
    is_gap |= ~share_of_hands(told_key, told_share)
    no_depth = is_gap | share_of_hands(depth_key, _NO_DEPTH_SHARE)
    return jnp.where(jnp.stack([is_gap, is_gap, no_depth], axis=-1), jnp.nan, told)


def told_extension(sharding: NamedSharding, told_share: float) -> Extension:
    """What fills the `Batch.told_keypoints` of a batch."""
    hands = jax.tree.map(jnp.asarray, load_told_hands())

    @partial(jax.jit, out_shardings=sharding)
    def tell(key: Array, index: Array, batch: Batch) -> Array:
        wrist_depth_m = batch.keypoints[:, WRIST, 2]
        keypoints = to_crop_space(batch.camera, batch.keypoints, wrist_depth_m)
        return tell_keypoints(jax.random.fold_in(key, index), keypoints, hands, told_share)

    def extend(key: Array, index: int, batch: Batch) -> Batch:
        return batch.replace(told_keypoints=tell(key, index, batch))

    return extend


def _upright_turn(keypoints: Float[Array, "b 21 3"]) -> Float[Array, "b 2 2"]:
    """The rotation of the picture that puts the middle finger's knuckle above the wrist."""
    return upright_turn(keypoints[:, MIDDLE_MCP, :2] - keypoints[:, WRIST, :2])


def _spread(keypoints: Float[Array, "b 21 3"]) -> Float[Array, "b"]:
    """Root mean square distance from the keypoints' middle, in the picture."""
    plane = keypoints[..., :2]
    plane = plane - plane.mean(axis=1, keepdims=True)
    return jnp.sqrt(jnp.sum(plane**2, axis=-1).mean(axis=-1))


def _turned(
    turn: Float[Array, "b 2 2"], scale: Float[Array, "b"], points: Float[Array, "b n 3"]
) -> Float[Array, "b n 3"]:
    plane = jnp.einsum("bij,bnj->bni", turn, points[..., :2], precision="highest")
    return scale[:, None, None] * jnp.concatenate([plane, points[..., 2:]], axis=-1)
