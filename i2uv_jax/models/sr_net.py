"""SRNet: a coarse UV map to a finer one of the same size, SRCNN (Dong et al. 2016) as published.

By option it knows where on the hand it is and which way the skin faces there
(`SRNetConfig.texel_features`): nails and creases have their places, and stand up from the skin
however the hand is turned. Turning, moving or scaling the coarse map then does the same to the
finer one, and nothing else.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.config import SRNetConfig
from i2uv_jax.geometry.map_normals import texel_frames
from i2uv_jax.models.layers import Conv

_MEAN_REACH = 2
"""Texels to either side that a local mean covers."""

_MEANS_ACROSS = 32
"""With `texel_features`, how many times a local mean's reach goes into the map's side: it has to
see how far a joint is bent."""


class SRNet(nn.Module):
    """A few convolutions with ReLUs between them; no normalisation.

    The last convolution and the sum of the residual form are float32: a UV map in bfloat16 would
    be rounded to 1/256 of the picture.
    """

    config: SRNetConfig
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, uv_map: Float[Array, "b m m 3"]) -> Float[Array, "b m m 3"]:
        gain, num_own, size = self.config.detail_gain, self.config.texel_features, uv_map.shape[1]
        if num_own is not None:
            frames, hand_size = texel_frames(uv_map)
            detail = uv_map - _local_mean(uv_map, max(1, size // _MEANS_ACROSS))
            seen = (gain / hand_size) * (frames * detail[..., :, None]).sum(axis=-2)
            own = self.param("texel_features", nn.initializers.normal(1.0), (size, size, num_own))
            x = jnp.concatenate([seen, jnp.broadcast_to(own, (*seen.shape[:3], num_own))], axis=-1)
        else:
            x = uv_map if gain is None else gain * (uv_map - _local_mean(uv_map, _MEAN_REACH))
        for i, features in enumerate(self.config.channels):
            x = Conv(
                features,
                self.config.kernels[i],
                dtype=self.dtype,
                cpu_paths=self.cpu_paths,
                name=f"conv{i + 1}",
            )(x)
            x = jax.nn.relu(x)
        x = Conv(
            3,
            self.config.kernels[-1],
            # The residual form starts as the identity.
            kernel_init=nn.initializers.zeros
            if self.config.residual
            else nn.initializers.lecun_normal(),
            cpu_paths=self.cpu_paths,
            name=f"conv{len(self.config.kernels)}",
        )(x)
        if num_own is not None:
            x = x + self.param("texel_correction", nn.initializers.zeros, (size, size, 3))
            x = hand_size * (frames * x[..., None, :]).sum(axis=-1)
        if gain is not None:
            x = x / gain
        return uv_map + x if self.config.residual else x


def _local_mean(uv_map: Float[Array, "b m m 3"], reach: int) -> Float[Array, "b m m 3"]:
    """Mean over those texels up to `reach` to either side of each that are on the map."""
    rows = np.arange(uv_map.shape[1])
    near = np.abs(rows - rows[:, None]) <= reach
    weights = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
    return jnp.einsum("bvuc,iv,ju->bijc", uv_map, weights, weights, precision="highest")
