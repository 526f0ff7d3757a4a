"""SRNet: a coarse UV map to a finer one of the same size, SRCNN (Dong et al. 2016) as published."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.config import SRNetConfig
from i2uv_jax.models.layers import Conv


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
        x = uv_map
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
        return uv_map + x if self.config.residual else x
