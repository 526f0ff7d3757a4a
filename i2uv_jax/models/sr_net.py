"""SRNet: a coarse UV map to a finer one of the same size, SRCNN (Dong et al. 2016) as published."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.config import SRNetConfig
from i2uv_jax.models.layers import Conv

_MEAN_REACH = 2
"""Texels to either side that a local mean covers."""


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
        gain = self.config.detail_gain
        x = uv_map if gain is None else gain * (uv_map - _local_mean(uv_map))
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
        if gain is not None:
            x = x / gain
        return uv_map + x if self.config.residual else x


def _local_mean(uv_map: Float[Array, "b m m 3"]) -> Float[Array, "b m m 3"]:
    """Mean over those of the 5 x 5 texels around each that are on the map."""
    rows = np.arange(uv_map.shape[1])
    near = np.abs(rows - rows[:, None]) <= _MEAN_REACH
    weights = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
    return jnp.einsum("bvuc,iv,ju->bijc", uv_map, weights, weights, precision="highest")
