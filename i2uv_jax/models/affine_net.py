"""AffineNet: one picture to UV position maps at rising resolutions (I2UV-HandNet, ICCV 2021).

The decoder's stages and what each joins, coarsest first (sizes for a 256 x 256 picture):

| stage | size | skip features                  | where they live                   | joins UV map |
|-------|------|--------------------------------|-----------------------------------|--------------|
| 1     | 16   | encoder, stride 16             | image space                       | no           |
| 2     | 32   | encoder, stride 8              | moved, and the decoder's own too  | no           |
| 3     | 64   | encoder, stride 4              | moved                             | no           |
| 4     | 64   | after max-pooling (stride 4)   | moved                             | yes          |
| 5     | 128  | stem convolution (stride 2)    | moved                             | yes          |
| 6     | 256  | none                           | -                                 | yes          |

Structure and conventions follow the authors' PyTorch code (github.com/redcping/I2UV-HandNet).

For small networks that learn from scratch there is a variant, `coarse_to_fine`: a fully connected
stage lays a bent and turned mean hand into the picture (`hand_stage.py`) in place of stages 1 and
2, and every later stage corrects the map before it.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.config import STAGE_STRIDES, AffineNetConfig
from i2uv_jax.models.confidence import CONFIDENCE, ConfidenceHead
from i2uv_jax.models.hand_stage import HandStage
from i2uv_jax.models.layers import call_block
from i2uv_jax.models.resnet import ResNet
from i2uv_jax.models.uv_decoder import UvDecoderStage, affine_connection


class AffineNetOutput(NamedTuple):
    """What is told of each picture, float32."""

    uv_maps: tuple[Float[Array, "b m m 3"], ...]
    """The UV map of every stage, coarsest first."""
    presence_logit: Float[Array, "b"] | None
    """Of a right hand's being seen; None unless the config asks for it."""
    log_error: Float[Array, "b m m"] | None
    """Log of the distance from the truth to expect of each texel of the finest map, in crop sides;
    None unless the config asks for it."""


class AffineNet(nn.Module):
    """Encoder and UV decoder."""

    config: AffineNetConfig
    dtype: jnp.dtype = jnp.float32
    cpu_paths: bool = False
    rematerialise: bool = False
    by_picture: bool = False
    """See `ops.grid_sample`."""

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "b h h 3"],
        keypoints: Float[Array, "b 21 3"] | None = None,
        *,
        train: bool,
    ) -> AffineNetOutput:
        """Takes a normalised picture whose side is a multiple of 32.

        Args:
            keypoints: what is known of them, for configs that take some; see `HandNet`.

        Raises:
            ValueError: the picture is not square or its side is not a multiple of 32, or keypoints
                are told that the config does not take.
        """
        if keypoints is not None and not self.config.takes_keypoints:
            raise ValueError("keypoints: expected none, as the model's config does not take any")
        size = image.shape[1]
        if image.shape[2] != size or size % 32:
            raise ValueError(f"image: expected a square side divisible by 32, got {image.shape}")
        skips = ResNet(
            self.config.encoder,
            self.config.width,
            dtype=self.dtype,
            cpu_paths=self.cpu_paths,
            rematerialise=self.rematerialise,
            name="encoder",
        )(image, train=train)
        stage_skips = (skips.stride16, skips.stride8, skips.stride4, skips.pooled, skips.stem, None)

        features, uv_map, uv_maps, presence_logit = skips.stride32, None, [], None
        remaining = list(enumerate(self.config.decoder_channels, start=1))
        if self.config.coarse_to_fine:
            (_, num_hidden), (_, channels), *remaining = remaining
            features, uv_map, presence_logit = HandStage(
                size // STAGE_STRIDES[2],
                num_hidden,
                channels,
                presence=self.config.presence,
                takes_keypoints=self.config.takes_keypoints,
                dtype=self.dtype,
                name="hand_stage",
            )(features, keypoints, train=train)
            near = affine_connection(
                skips.stride8, uv_map, cpu_path=self.cpu_paths, by_picture=self.by_picture
            )
            features = jnp.concatenate([features, near], axis=-1)
            uv_maps.append(uv_map)
        for stage, channels in remaining:
            decoder_stage = UvDecoderStage(
                channels,
                size // STAGE_STRIDES[stage - 1],
                move_features=stage == 2,
                concat_uv_map=stage >= 4 or self.config.coarse_to_fine,
                upsample_last=self.config.upsample_last,
                correct=self.config.coarse_to_fine,
                takes_keypoints=self.config.takes_keypoints,
                dtype=self.dtype,
                cpu_paths=self.cpu_paths,
                by_picture=self.by_picture,
                name=f"stage{stage}",
            )
            features, uv_map = call_block(
                decoder_stage,
                features,
                stage_skips[stage - 1],
                uv_map,
                keypoints,
                train=train,
                rematerialise=self.rematerialise,
            )
            uv_maps.append(uv_map)
        log_error = None
        if self.config.confidence:
            log_error = ConfidenceHead(name=CONFIDENCE)(features)
        return AffineNetOutput(tuple(uv_maps), presence_logit, log_error)
