"""Keypoints as another network sees them in the same pictures, with more or less of its errors.

That network is MediaPipe's hand landmark network (`detection.seen_keypoints`). Its errors on
rendered hands are larger than on photos, which it learned from, so each hand gets a share of its
own error; what all hands' errors have in common, where the network means other points than ours,
stays whole. (The hands of stored sets are told as rendered ones are.)
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Float

from i2uv_jax.data.extended import Extension
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.geometry.similarity import upright_turn
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.types import Batch

MEAN_ERROR_PATH = Path(__file__).parent / "mean_keypoint_error.npy"

_ERROR_SCALES = (0.2, 1.0)
"""Range of the share of its own error that each hand gets."""

_NO_DEPTH_SHARE = 0.1
"""Of hands whose keypoints are told in the picture plane alone."""
_GAPPY_SHARE, _GAP_SHARE = 0.2, 0.25
"""Of hands of which some keypoints are unknown; and of theirs, how many."""


def load_mean_error() -> Float[np.ndarray, "21 3"]:
    """Of rendered hands' keypoints as the network sees them, in hands' own frames (`in_own_frame`);
    made by `launch.build_mean_keypoint_error`."""
    return np.load(MEAN_ERROR_PATH, allow_pickle=False)


def in_own_frame(
    true: Float[Array, "b 21 3"], *others: Float[Array, "b 21 3"]
) -> list[Float[Array, "b 21 3"]]:
    """Keypoints of hands, and whatever else stands beside them, in a frame of each hand's own: the
    wrist is the origin, the middle finger's knuckle stands above it in the picture, lengths are in
    `_spread`s of the true keypoints."""
    turn, scale = _upright_turn(true), 1 / _spread(true)
    origin = true[:, WRIST : WRIST + 1]
    return [_turned(turn, scale, points - origin) for points in (true, *others)]


def tell_keypoints(
    key: Array,
    true: Float[Array, "b 21 3"],
    seen: Float[Array, "b 21 3"],
    mean_error: Float[Array, "21 3"],
    told_share: float,
) -> Float[Array, "b 21 3"]:
    """Keypoints with errors and gaps, NaN where they are not told. Pure and jit-able.

    Args:
      true: crop coordinates, depth relative to the wrist in crop sides.
      seen: the same as the network sees them, NaN where it does not.
      mean_error: of what it sees, in hands' own frames.
      told_share: of hands of which anything that is seen is told.
    """
    scale_key, told_key, depth_key, gappy_key, gap_key = jax.random.split(hash_key(key), 5)
    count = len(true)
    back = jnp.swapaxes(_upright_turn(true), -1, -2)
    meant = true + _turned(back, _spread(true), jnp.broadcast_to(mean_error, true.shape))
    low, high = _ERROR_SCALES
    scale = jax.random.uniform(scale_key, (count, 1, 1), minval=low, maxval=high)
    told = meant + scale * (seen - meant)

    def share_of_hands(key: Array, share: float) -> Array:
        return jax.random.bernoulli(key, share, (count, 1))

    is_gap = jax.random.bernoulli(gap_key, _GAP_SHARE, true.shape[:2])
    is_gap &= share_of_hands(gappy_key, _GAPPY_SHARE)
    is_gap |= ~share_of_hands(told_key, told_share)
    no_depth = is_gap | share_of_hands(depth_key, _NO_DEPTH_SHARE)
    return jnp.where(jnp.stack([is_gap, is_gap, no_depth], axis=-1), jnp.nan, told)


def told_extension(sharding: NamedSharding, told_share: float) -> Extension:
    """What fills the `Batch.told_keypoints` of a batch from its `seen_keypoints`, which go."""
    mean_error = load_mean_error()

    @partial(jax.jit, out_shardings=sharding)
    def tell(key: Array, index: Array, batch: Batch) -> Array:
        key = jax.random.fold_in(key, index)
        true = keypoints_in_crop(batch.camera, batch.keypoints)
        return tell_keypoints(key, true, batch.seen_keypoints, mean_error, told_share)

    def extend(key: Array, index: int, batch: Batch) -> Batch:
        return batch.replace(told_keypoints=tell(key, index, batch), seen_keypoints=None)

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
