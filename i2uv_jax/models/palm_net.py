"""BlazePalm: the palms in a whole picture, as MediaPipe finds them (Zhang et al., MediaPipe Hands:
On-device Real-time Hand Tracking, 2020).

A single-shot detector of depthwise 5 x 5 blocks with a feature pyramid. Every cell of 8 x 8 pixels
has 2 anchors and every cell of 16 x 16 has 6; each says how likely a palm is there, and where its
square box and 7 points on it lie. Structure as in the file `palm_detection_full.tflite`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.config import PalmNetConfig
from i2uv_jax.models.input_size import check_picture_size
from i2uv_jax.models.layers import Conv, parameter
from i2uv_jax.ops.depthwise import depthwise_conv2d

FINE_ANCHORS, COARSE_ANCHORS = 2, 6
"""Anchors of a cell at strides 8 and 16."""

NUM_VALUES = 18
"""Of an anchor: x, y, width and height of a box and x, y of 7 points, pixels about the cell's
middle."""

_KERNEL = 5


@struct.dataclass
class PalmNetOutput:
    """What the anchors say, cells row by row, those of stride 8 before those of stride 16."""

    logits: Float[Array, "b n"]
    """Of a palm being there."""
    values: Float[Array, "b n 18"]
    """See `NUM_VALUES`."""


class PalmNet(nn.Module):
    """The network. Make it with `build_palm_net`."""

    config: PalmNetConfig
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, image: Float[Array, "b h h 3"], *, train: bool) -> PalmNetOutput:
        """Takes sRGB-encoded square pictures, 0 to 1, of the config's size. Jit-able.

        It has no batch statistics, so `train` changes nothing.

        Raises:
            ValueError: the picture's size is not the config's.
        """
        del train
        check_picture_size(image, self.config.image_size)
        first, *others = self.config.channels
        # "SAME" as TensorFlow counts it: at stride 2 the odd zero goes below and right.
        x = jnp.pad(image, ((0, 0), (1, 2), (1, 2), (0, 0)))
        x = nn.Conv(first, (_KERNEL, _KERNEL), strides=2, padding="VALID", name="entry")(x)
        x = _prelu(self, "entry", x)
        x = self._blocks("stride2", x)
        seen = {}
        for level, channels in enumerate(others, start=2):
            stride = 2**level
            x = _Block(channels, stride=2, cpu_paths=self.cpu_paths, name=f"down{stride}")(x)
            x = seen[stride] = self._blocks(f"stride{stride}", x)
        coarse = self._merge("up16", seen[32], seen[16])
        fine = self._merge("up8", coarse, seen[8])
        logits, values = [], []
        for name, features, anchors in (
            ("fine", fine, FINE_ANCHORS),
            ("coarse", coarse, COARSE_ANCHORS),
        ):
            batch = len(features)
            logits.append(self._conv(anchors, f"{name}_logits")(features).reshape(batch, -1))
            told = self._conv(anchors * NUM_VALUES, f"{name}_values")(features)
            values.append(told.reshape(batch, -1, NUM_VALUES))
        return PalmNetOutput(jnp.concatenate(logits, axis=1), jnp.concatenate(values, axis=1))

    def _conv(self, channels: int, name: str) -> Conv:
        return Conv(channels, 1, cpu_paths=self.cpu_paths, name=name)

    def _blocks(self, name: str, x: Float[Array, "b h w c"], count: int | None = None) -> Array:
        for number in range(1, (self.config.num_blocks if count is None else count) + 1):
            block = _Block(x.shape[-1], cpu_paths=self.cpu_paths, name=f"{name}_block{number}")
            x = block(x)
        return x

    def _merge(
        self, name: str, coarse: Float[Array, "b h/2 w/2 d"], fine: Float[Array, "b h w c"]
    ) -> Float[Array, "b h w c"]:
        """Coarse features, enlarged, together with fine ones."""
        x = jax.image.resize(coarse, (*fine.shape[:3], coarse.shape[-1]), "bilinear")
        x = _prelu(self, name, self._conv(fine.shape[-1], f"{name}_narrow")(x))
        return self._blocks(name, x + fine, count=2)


class _Block(nn.Module):
    """Depthwise and pointwise convolution beside a shortcut, which a stride of 2 pools."""

    channels: int
    stride: int = 1
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 channels"]:
        kernel = parameter(
            self, "depthwise", nn.initializers.lecun_normal(), (_KERNEL, _KERNEL, x.shape[-1])
        )
        seen = depthwise_conv2d(x, kernel, stride=self.stride, cpu_path=self.cpu_paths)
        bias = parameter(self, "depthwise_bias", nn.initializers.zeros, (x.shape[-1],))
        seen = Conv(self.channels, 1, cpu_paths=self.cpu_paths, name="pointwise")(seen + bias)
        if self.stride == 2:
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.channels - x.shape[-1])))
        return _prelu(self, "block", x + seen)


def _prelu(module: nn.Module, name: str, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """x where it is positive, else as many times x as the channel has learned."""
    slope = parameter(module, f"{name}_slope", nn.initializers.constant(0.25), (x.shape[-1],))
    # Unlike a choice by x's sign, these are operations of every runtime's fast kernels.
    return x + (slope - 1) * jnp.minimum(x, 0)


def build_palm_net(config: PalmNetConfig) -> PalmNet:
    """The network that a config describes, in the formulation that is fast on JAX's backend."""
    return PalmNet(config, cpu_paths=jax.default_backend() == "cpu")
