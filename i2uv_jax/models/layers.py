"""The building blocks that all networks share: convolution, normalisation, and their block.

Precision, decided once: parameters and running statistics are float32; a layer computes in its
`dtype`. Layer names are part of the checkpoint format.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError
from jaxtyping import Array, Float

from i2uv_jax.ops.conv import conv2d

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5
"""Both as in PyTorch, which calls the former 0.1."""


def parameter(
    module: nn.Module, name: str, init: Callable, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """`module.param` in float32, in a fraction of the time where `init` is not wanted.

    Flax traces `init` on every call, for the shape alone, which takes longer than tracing the layer
    that the parameter belongs to: half of the time that a process took until its first mesh.

    Raises:
      ScopeParamShapeError: the module was given a parameter of another shape.
    """
    if module.has_variable("params", name):
        value = module.get_variable("params", name)
        if value.shape != shape:
            raise ScopeParamShapeError(name, "/".join(module.path), value.shape, shape)
        return value
    return module.param(
        name, init if module.is_initializing() else nn.initializers.zeros, shape, jnp.float32
    )


class Conv(nn.Module):
    """Square convolution, zero padding of (k - 1) // 2; parameters as `flax.linen.Conv` has them.

    Our own so that `cpu_paths` can change how it is computed.
    """

    features: int
    kernel_size: int
    stride: int = 1
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.he_normal()
    bias_init: Callable = nn.initializers.zeros
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b out_h out_w features"]:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = parameter(self, "kernel", self.kernel_init, shape)
        x = conv2d(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            cpu_path=self.cpu_paths,
        )
        if self.use_bias:
            bias = parameter(self, "bias", self.bias_init, (self.features,))
            x = x + bias.astype(self.dtype)
        return x


def batch_norm(*, train: bool, dtype: jnp.dtype, name: str) -> nn.BatchNorm:
    """Batch normalisation as in PyTorch; under jit its statistics cover the global batch."""
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        dtype=dtype,
        name=name,
    )


class ConvNormRelu(nn.Module):
    """3x3 convolution with bias, batch normalisation, ReLU."""

    features: int
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w features"]:
        x = Conv(self.features, 3, dtype=self.dtype, cpu_paths=self.cpu_paths, name="conv")(x)
        x = batch_norm(train=train, dtype=self.dtype, name="norm")(x)
        return jax.nn.relu(x)


def call_block(module: nn.Module, *inputs: Array | None, train: bool, rematerialise: bool) -> Any:
    """`module(*inputs, train=train)`; if asked, gradients keep the inputs alone and compute the
    rest anew."""

    def call(module: nn.Module, *inputs: Array | None) -> Any:
        return module(*inputs, train=train)

    return (nn.remat(call) if rematerialise else call)(module, *inputs)
