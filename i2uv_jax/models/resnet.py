"""ResNet encoders (He et al. 2016) that hand out every intermediate feature map.

Structure as in torchvision (the stride of a bottleneck is on its 3x3 convolution, stride-2
convolutions pad explicitly), without the classifier, so that its weights can be imported.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.models.layers import Conv, batch_norm, call_block
from i2uv_jax.ops.max_pool import max_pool_3x3

STAGE_CHANNELS = (64, 128, 256, 512)
STEM_CHANNELS = 64
BOTTLENECK_EXPANSION = 4


class ResNetSpec(NamedTuple):
    """How many blocks each of the four stages has, and of which kind."""

    num_blocks: tuple[int, int, int, int]
    bottleneck: bool


RESNETS = {
    "resnet18": ResNetSpec((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNetSpec((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNetSpec((3, 4, 6, 3), bottleneck=True),
}


class EncoderFeatures(NamedTuple):
    """Feature maps by stride; channels at width 1 of ResNet-18/34 | 50."""

    stem: Float[Array, "b h/2 w/2 c"]
    """The first convolution's output before its batch normalisation; 64."""
    pooled: Float[Array, "b h/4 w/4 c"]
    """After max-pooling; 64."""
    stride4: Float[Array, "b h/4 w/4 c"]
    """64 | 256."""
    stride8: Float[Array, "b h/8 w/8 c"]
    """128 | 512."""
    stride16: Float[Array, "b h/16 w/16 c"]
    """256 | 1024."""
    stride32: Float[Array, "b h/32 w/32 c"]
    """512 | 2048."""


def scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 and at least 8."""
    return max(8, round(channels * width / 8) * 8)


class ResidualBlock(nn.Module):
    """Basic block (two 3x3 convolutions) or bottleneck (1x1, 3x3, 1x1 to four times the width)."""

    features: int
    stride: int
    bottleneck: bool
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 d"]:
        if self.bottleneck:
            out_features = self.features * BOTTLENECK_EXPANSION
            layers = [(self.features, 1, 1), (self.features, 3, self.stride), (out_features, 1, 1)]
        else:
            out_features = self.features
            layers = [(self.features, 3, self.stride), (self.features, 3, 1)]

        shortcut = x
        for i, (features, kernel_size, stride) in enumerate(layers, start=1):
            x = self._conv(features, kernel_size, stride, f"conv{i}")(x)
            x = batch_norm(train=train, dtype=self.dtype, name=f"norm{i}")(x)
            if i < len(layers):
                x = jax.nn.relu(x)
        if shortcut.shape != x.shape:
            shortcut = self._conv(out_features, 1, self.stride, "downsample_conv")(shortcut)
            shortcut = batch_norm(train=train, dtype=self.dtype, name="downsample_norm")(shortcut)
        return jax.nn.relu(x + shortcut)

    def _conv(self, features: int, kernel_size: int, stride: int, name: str) -> Conv:
        return Conv(
            features,
            kernel_size,
            stride,
            use_bias=False,
            dtype=self.dtype,
            cpu_paths=self.cpu_paths,
            name=name,
        )


class ResNet(nn.Module):
    """Encoder by name (`RESNETS`); `width` multiplies every channel count."""

    name_or_depth: str
    width: float = 1.0
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False
    rematerialise: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"], *, train: bool) -> EncoderFeatures:
        spec = RESNETS[self.name_or_depth]
        stem = Conv(
            scaled_channels(STEM_CHANNELS, self.width),
            kernel_size=7,
            stride=2,
            use_bias=False,
            dtype=self.dtype,
            cpu_paths=self.cpu_paths,
            name="stem_conv",
        )(x)
        x = jax.nn.relu(batch_norm(train=train, dtype=self.dtype, name="stem_norm")(stem))
        pooled = x = max_pool_3x3(x, cpu_path=self.cpu_paths)

        stage_outputs = []
        for stage, (channels, num_blocks) in enumerate(
            zip(STAGE_CHANNELS, spec.num_blocks, strict=True), start=1
        ):
            for block in range(num_blocks):
                residual_block = ResidualBlock(
                    scaled_channels(channels, self.width),
                    stride=2 if stage > 1 and block == 0 else 1,
                    bottleneck=spec.bottleneck,
                    dtype=self.dtype,
                    cpu_paths=self.cpu_paths,
                    name=f"stage{stage}_block{block + 1}",
                )
                x = call_block(residual_block, x, train=train, rematerialise=self.rematerialise)
            stage_outputs.append(x)
        return EncoderFeatures(stem, pooled, *stage_outputs)
