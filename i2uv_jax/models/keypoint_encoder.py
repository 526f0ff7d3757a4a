"""Keypoints that another network has seen in a picture, as features of the picture.

Where a hand's joints stand in the picture hardly depends on what is a photo and what is rendered: a
network that saw rendered hands alone does better on photos if it is told them. Any coordinate may
be unknown (NaN), all of them too.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS

KEYPOINT_FEATURES = "features"
"""Name of the last layer."""

_NUM_HIDDEN = 512
_GAIN = 4.0
"""Of coordinates, whose spread in a crop is about a quarter of its side."""


class KeypointEncoder(nn.Module):
    """Two hidden layers; says nothing (zero) before it has learned."""

    channels: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, keypoints: Float[Array, "b 21 3"]) -> Float[Array, "b channels"]:
        """Takes crop coordinates, depth relative to the wrist in crop sides; NaN is unknown."""
        is_known = jnp.isfinite(keypoints)
        centred = _GAIN * (keypoints - jnp.array([0.5, 0.5, 0.0]))
        x = jnp.stack([jnp.where(is_known, centred, 0), is_known.astype(jnp.float32)], axis=-1)
        x = x.reshape(keypoints.shape[0], -1)
        for number in (1, 2):
            dense = nn.Dense(
                _NUM_HIDDEN,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"hidden{number}",
            )
            x = jax.nn.relu(dense(x))
        zeros = nn.initializers.zeros
        last = nn.Dense(self.channels, kernel_init=zeros, dtype=self.dtype, name=KEYPOINT_FEATURES)
        return last(x)


def unknown_keypoints(count: int) -> Float[Array, "count 21 3"]:
    """What stands for keypoints of pictures of which none are known."""
    return jnp.full((count, NUM_KEYPOINTS, 3), jnp.nan)
