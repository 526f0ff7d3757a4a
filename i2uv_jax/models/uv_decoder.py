"""Decoder stages that carry features from image space into UV space: the affine connection.

A stage's UV map says where in the picture each texel's surface point is seen: the fixed
orthographic projection of a texel is its first two channels. Sampling image features there gives
each texel the features of its own surface point.
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.models.keypoint_encoder import unknown_keypoints
from i2uv_jax.models.keypoint_pull import keypoint_pull
from i2uv_jax.models.layers import Conv, ConvNormRelu
from i2uv_jax.ops.grid_sample import grid_sample
from i2uv_jax.ops.resize import resize_corner_aligned

HEAD_INIT_SCALE = 1e-3

PULL_FEATURES, PULL_FOLLOWED = "pull_features", "pull_followed"
"""Names of the layers that read the pull of told keypoints, and that say how far to follow it."""

PULL_GAIN = 10.0
"""Of pulls as features: they are about a tenth of the crop's side."""


def neutral_uv(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Initialiser, (..., 3): the centre of the picture at the wrist's depth, (0.5, 0.5, 0).

    Maps start there, with little spread, so that the affine connection samples inside the picture
    from the first step on; clamped coordinates outside it would have no gradient.
    """
    del key
    return jnp.broadcast_to(jnp.array([0.5, 0.5, 0.0], dtype), shape)


def affine_connection(
    image_features: Float[Array, "b h w c"],
    uv_map: Float[Array, "b m m 3"],
    *,
    cpu_path: bool = False,
    by_picture: bool = False,
) -> Float[Array, "b m m c"]:
    """Image features at the projection of each texel: from image space to UV space.

    The fixed orthographic matrix takes (x, y, z, 1) in crop coordinates to (x, y). Sampling is
    corner-aligned (see `ops.grid_sample`), as in the authors' code.
    """
    points = uv_map[..., :2]
    return grid_sample(image_features, points, cpu_path=cpu_path, by_picture=by_picture)


class UvHead(nn.Module):
    """Plain 3x3 convolution to a UV map, in float32 whatever the features' precision.

    With a previous map it predicts the difference from that.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, "b m m c"], previous_uv_map: Float[Array, "b m m 3"] | None = None
    ) -> Float[Array, "b m m 3"]:
        uv_map = Conv(
            3,
            3,
            kernel_init=nn.initializers.variance_scaling(HEAD_INIT_SCALE, "fan_in", "normal"),
            bias_init=neutral_uv if previous_uv_map is None else nn.initializers.zeros,
            name="conv",
        )(x)
        return uv_map if previous_uv_map is None else previous_uv_map + uv_map


class UvDecoderStage(nn.Module):
    """Upsample and convolve, join with skip features, convolve, predict a UV map.

    Without a previous UV map the stage works in image space; with one, its skip features pass the
    affine connection.
    """

    channels: int
    size: int
    move_features: bool = False
    """Whether the incoming features are still in image space and pass the connection, too."""
    concat_uv_map: bool = False
    """Whether the upsampled previous UV map joins the features."""
    upsample_last: bool = False
    """Whether the first convolution works before the upsampling instead of after it."""
    correct: bool = False
    """Whether the head predicts the difference from the previous map, instead of a whole map."""
    takes_keypoints: bool = False
    """Whether keypoints can be told; only with a previous map."""
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False
    by_picture: bool = False
    """See `ops.grid_sample`."""

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b k k c"],
        skip: Float[Array, "b h w d"] | None,
        previous_uv_map: Float[Array, "b k k 3"] | None,
        keypoints: Float[Array, "b 21 3"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "b size size channels"], Float[Array, "b size size 3"]]:
        """Features of the texels, and the map.

        Args:
          keypoints: as `keypoint_pull` takes them; None tells nothing.
        """
        conv_block: Callable = lambda name: ConvNormRelu(  # noqa: E731
            self.channels, dtype=self.dtype, cpu_paths=self.cpu_paths, name=name
        )
        uv_map = None if previous_uv_map is None else self._resize(previous_uv_map)
        if self.upsample_last:
            x = self._resize(conv_block("up")(features, train=train))
        else:
            x = conv_block("up")(self._resize(features), train=train)
        if self.takes_keypoints:
            told = unknown_keypoints(1) if keypoints is None else keypoints
            pull, known = keypoint_pull(uv_map, told)
            # Both layers say nothing before they have learned.
            told_features = jnp.concatenate([PULL_GAIN * pull, known], axis=-1)
            x = x + self._zeros(PULL_FEATURES, self.channels, self.dtype)(told_features)
        joined = [x, skip]
        if uv_map is not None:
            if self.move_features:
                joined[0] = self._connect(x, uv_map)
            if skip is not None:
                joined[1] = self._connect(skip, uv_map)
            if self.concat_uv_map:
                joined.append(uv_map.astype(self.dtype))
        x = jnp.concatenate([part for part in joined if part is not None], axis=-1)
        x = conv_block("merge")(x, train=train)
        new_uv_map = UvHead(name="head")(x, uv_map if self.correct else None)
        if self.takes_keypoints:
            new_uv_map += pull * self._zeros(PULL_FOLLOWED, 3, jnp.float32)(x)
        return x, new_uv_map

    def _zeros(self, name: str, features: int, dtype: jnp.dtype) -> Conv:
        """A 1x1 convolution that says 0 at first."""
        return Conv(features, 1, kernel_init=nn.initializers.zeros, dtype=dtype, name=name)

    def _connect(self, features: Float[Array, "b h w c"], uv_map: Float[Array, "b m m 3"]) -> Array:
        return affine_connection(
            features, uv_map, cpu_path=self.cpu_paths, by_picture=self.by_picture
        )

    def _resize(self, x: Float[Array, "b k k c"]) -> Float[Array, "b size size c"]:
        return resize_corner_aligned(x, (self.size, self.size), cpu_path=self.cpu_paths)
