"""A small network that finds hands in whole pictures: heat maps of their middles (Zhou et al. 2019,
"Objects as Points"), on a light residual encoder with one way back up.

The picture is seen at strides 2 to 32; coarse features are enlarged and added to finer ones down to
stride 8, where one map per side tells how likely the middle of a left or a right hand lies in each
cell, and three more where in the cell and how large the hand is.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.config import DetectorConfig
from i2uv_jax.models.input_size import check_picture_size
from i2uv_jax.models.layers import Conv, ConvNormRelu, batch_norm
from i2uv_jax.models.resnet import ResidualBlock

STRIDE = 8
"""Pixels per cell of the maps that come out."""

LEFT, RIGHT = 0, 1
"""Channels of the heat maps."""

_RARE = 0.02
"""What heat maps say before training; half everywhere would drown the first steps."""
_USUAL_SIDE = 0.3


@struct.dataclass
class DetectorOutput:
    """Maps over the cells of a picture; float32."""

    heat_logits: Float[Array, "b g g 2"]
    """Of a left and a right hand's middle being there; `LEFT` and `RIGHT`."""
    offset: Float[Array, "b g g 2"]
    """Where the nearest hand's middle lies from the cell's, x and y in cells."""
    log_side: Float[Array, "b g g"]
    """Logarithm of the side of that hand's square box in picture sides."""


class Detector(nn.Module):
    """The network. Make it with `build_detector`."""

    config: DetectorConfig
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, image: Float[Array, "b h h 3"], *, train: bool) -> DetectorOutput:
        """Takes sRGB-encoded square pictures, 0 to 1, of the config's size. Jit-able.

        With `train` batch statistics are used and updated: apply with `mutable=["batch_stats"]`.

        Raises:
            ValueError: the picture's size is not the config's.
        """
        check_picture_size(image, self.config.image_size)
        common = {"dtype": jnp.dtype(self.config.dtype), "cpu_paths": self.cpu_paths}
        first, *others = self.config.channels
        x = Conv(first, 3, stride=2, use_bias=False, **common, name="entry_conv")((image - 0.5) * 4)
        x = jax.nn.relu(batch_norm(train=train, dtype=common["dtype"], name="entry_norm")(x))
        seen = {}
        for number, channels in enumerate(others, start=2):
            block = ResidualBlock(channels, 2, bottleneck=False, **common, name=f"down{number}")
            x = seen[2**number] = block(x, train=train)
        for stride in (16, 8):
            channels = seen[stride].shape[-1]
            x = Conv(channels, 1, **common, name=f"narrow{stride}")(x)
            x = x.repeat(2, axis=1).repeat(2, axis=2) + seen[stride]
            x = ConvNormRelu(channels, **common, name=f"up{stride}")(x, train=train)
        x = Conv(5, 1, bias_init=_first_answer, **common, name="heads")(x).astype(jnp.float32)
        return DetectorOutput(heat_logits=x[..., :2], offset=x[..., 2:4], log_side=x[..., 4])


def build_detector(config: DetectorConfig) -> Detector:
    """The network that a config describes, in the formulation that is fast on JAX's backend."""
    return Detector(config, cpu_paths=jax.default_backend() == "cpu")


def _first_answer(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    rare = jnp.log(_RARE / (1 - _RARE))
    return jnp.array([rare, rare, 0.0, 0.0, jnp.log(_USUAL_SIDE)], dtype)
