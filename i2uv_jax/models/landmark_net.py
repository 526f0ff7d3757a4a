"""MediaPipe's hand landmark network: the 21 keypoints of one hand, which hand it is, and whether it
is one at all (Zhang et al., MediaPipe Hands: On-device Real-time Hand Tracking, 2020).

It looks at a square around the hand, turned such that the middle finger's knuckle lies above the
wrist (`detection.landmarks`). The body is EfficientNet-B0 without squeeze-and-excitation and with
ReLU6; structure as in the file `hand_landmark_full.tflite`, whose batch norms are folded.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.config import LandmarkNetConfig
from i2uv_jax.geometry.keypoints import NUM_KEYPOINTS
from i2uv_jax.models.input_size import check_picture_size
from i2uv_jax.models.layers import Conv, parameter
from i2uv_jax.ops.depthwise import depthwise_conv2d

STAGES = ((3, 1, 1, 1), (3, 2, 2, 4), (5, 2, 2, 6), (3, 2, 3, 6), (5, 1, 3, 6), (5, 2, 4, 6))
"""Kernel, stride of the first block, number of blocks, and by how much the first block expands."""

_EXPANSION = 6
"""Of all blocks but the first of a stage."""


@struct.dataclass
class LandmarkNetOutput:
    """What the network sees; keypoints in the order of `geometry.keypoints.KEYPOINT_NAMES`."""

    presence_logit: Float[Array, "b"]
    """Of the square showing a hand."""
    right_logit: Float[Array, "b"]
    """Of the hand being a right one, in a picture that is not mirrored."""
    keypoints: Float[Array, "b 21 3"]
    """x right and y down in pixels of the square, edge to edge; z away from the camera about the
    wrist, in units of its own (`detection.landmarks.DEPTH_SHARE` of a pixel)."""
    world_m: Float[Array, "b 21 3"]
    """The same hand in metres about its middle, in the square's frame: x right, y down, z away from
    the camera."""


class LandmarkNet(nn.Module):
    """The network. Make it with `build_landmark_net`."""

    config: LandmarkNetConfig
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, image: Float[Array, "b h h 3"], *, train: bool) -> LandmarkNetOutput:
        """Takes sRGB-encoded square pictures, 0 to 1, of the config's size. Jit-able.

        It has no batch statistics, so `train` changes nothing.

        Raises:
            ValueError: the picture's size is not the config's.
        """
        del train
        check_picture_size(image, self.config.image_size)
        first, *others = self.config.channels
        # "SAME" as TensorFlow counts it: at stride 2 the odd zero goes below and right.
        x = jnp.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)))
        x = jax.nn.relu6(nn.Conv(first, (3, 3), strides=2, padding="VALID", name="entry")(x))
        for stage, (channels, (kernel, stride, num_blocks, expansion)) in enumerate(
            zip(others, STAGES, strict=True), start=1
        ):
            for number in range(1, num_blocks + 1):
                block = _Block(
                    channels,
                    kernel,
                    stride=stride if number == 1 else 1,
                    expansion=expansion if number == 1 else _EXPANSION,
                    cpu_paths=self.cpu_paths,
                    name=f"stage{stage}_block{number}",
                )
                x = block(x)
        seen = _Widened(3, expansion=_EXPANSION, cpu_paths=self.cpu_paths, name="exit")(x)
        features = seen.mean(axis=(1, 2))
        points = (-1, NUM_KEYPOINTS, 3)
        return LandmarkNetOutput(
            presence_logit=nn.Dense(1, name="presence")(features)[:, 0],
            right_logit=nn.Dense(1, name="right")(features)[:, 0],
            keypoints=nn.Dense(3 * NUM_KEYPOINTS, name="keypoints")(features).reshape(points),
            world_m=nn.Dense(3 * NUM_KEYPOINTS, name="world")(features).reshape(points),
        )


class _Block(nn.Module):
    """Inverted residual: widened, and projected; beside a shortcut where the shapes allow."""

    channels: int
    kernel_size: int
    stride: int = 1
    expansion: int = _EXPANSION
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 channels"]:
        widened = _Widened(
            self.kernel_size, self.stride, self.expansion, self.cpu_paths, name="widened"
        )
        seen = Conv(self.channels, 1, cpu_paths=self.cpu_paths, name="project")(widened(x))
        return x + seen if seen.shape == x.shape else seen


class _Widened(nn.Module):
    """Pointwise convolution to more channels (none where `expansion` is 1), then a depthwise one,
    each with ReLU6."""

    kernel_size: int
    stride: int = 1
    expansion: int = _EXPANSION
    cpu_paths: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c*expansion"]:
        channels = x.shape[-1] * self.expansion
        if self.expansion > 1:
            expand = Conv(channels, 1, cpu_paths=self.cpu_paths, name="expand")
            x = jax.nn.relu6(expand(x))
        shape = (self.kernel_size, self.kernel_size, channels)
        kernel = parameter(self, "depthwise", nn.initializers.lecun_normal(), shape)
        bias = parameter(self, "depthwise_bias", nn.initializers.zeros, (channels,))
        x = depthwise_conv2d(x, kernel, stride=self.stride, cpu_path=self.cpu_paths)
        return jax.nn.relu6(x + bias)


def build_landmark_net(config: LandmarkNetConfig) -> LandmarkNet:
    """The network that a config describes, in the formulation that is fast on JAX's backend."""
    return LandmarkNet(config, cpu_paths=jax.default_backend() == "cpu")
