"""HandNet: a picture to its UV position map; AffineNet, then SRNet on AffineNet's finest map."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.config import HandNetConfig
from i2uv_jax.hand.skinned_fit import skinned_fit
from i2uv_jax.models.affine_net import AffineNet
from i2uv_jax.models.input_size import check_picture_size
from i2uv_jax.models.sr_net import SRNet
from i2uv_jax.ops.resize import resize_corner_aligned

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@struct.dataclass
class HandNetOutput:
    """UV position maps in crop coordinates (see `i2uv_jax.types`), float32."""

    stage_uv_maps: tuple[Float[Array, "b m m 3"], ...]
    """AffineNet's maps, coarsest first; sizes in `HandNetConfig.stage_sizes`."""
    uv_map: Float[Array, "b n n 3"]
    """The model's answer: SRNet's map, or without SRNet the skinned one, or AffineNet's finest."""
    presence_logit: Float[Array, "b"] | None = None
    """Log odds that the picture shows a right hand; None unless `AffineNetConfig.presence`."""
    log_error: Float[Array, "b m m"] | None = None
    """Log of the distance from the truth to expect of each texel of AffineNet's finest map, in crop
    sides; None unless `AffineNetConfig.confidence`."""


class HandNet(nn.Module):
    """The whole network. Make it with `build_model`, which checks nothing is left unresolved."""

    config: HandNetConfig
    cpu_paths: bool = False
    rematerialise: bool = False
    """Whether gradients compute what lies within encoder blocks and decoder stages anew."""
    by_picture: bool = False
    """See `ops.grid_sample`."""

    def setup(self) -> None:
        dtype = jnp.dtype(self.config.dtype)
        if self.config.affine is not None:
            self.affine_net = AffineNet(
                self.config.affine,
                dtype=dtype,
                cpu_paths=self.cpu_paths,
                rematerialise=self.rematerialise,
                by_picture=self.by_picture,
            )
        if self.config.sr is not None:
            self.sr_net = SRNet(self.config.sr, dtype=dtype, cpu_paths=self.cpu_paths)

    def __call__(
        self,
        image: Float[Array, "b h h 3"],
        keypoints: Float[Array, "b 21 3"] | None = None,
        *,
        train: bool,
        super_resolve: bool = True,
    ) -> HandNetOutput:
        """Takes sRGB-encoded pictures of right hands, 0 to 1, of the config's size. Jit-able.

        Without an AffineNet it takes coarse UV maps in their place. With `train` batch statistics
        are used and updated: apply with `mutable=["batch_stats"]`.

        Args:
            keypoints: what is known of the keypoints, for models that can be told
                (`HandNetConfig.takes_keypoints`): x, y and z as in a texel, NaN where unknown.
            super_resolve: False gives the coarse map, of the same size but without SRNet.

        Raises:
            ValueError: the picture's size is not the config's, or the model takes no keypoints.
        """
        check_picture_size(image, self.config.input_size)
        if self.config.affine is None:
            return HandNetOutput(stage_uv_maps=(), uv_map=self.refine(image))
        image = (image - jnp.array(IMAGENET_MEAN)) / jnp.array(IMAGENET_STD)
        seen = self.affine_net(image, keypoints, train=train)
        return HandNetOutput(
            stage_uv_maps=seen.uv_maps,
            uv_map=self.refine(seen.uv_maps[-1], super_resolve=super_resolve),
            presence_logit=seen.presence_logit,
            log_error=seen.log_error,
        )

    def refine(
        self, uv_map: Float[Array, "b m m 3"], *, super_resolve: bool = True
    ) -> Float[Array, "b n n 3"]:
        """SRNet on AffineNet's finest map or on what is skinned after it, or these resized alone;
        without SRNet as they are."""
        if self.config.skinned is not None:
            uv_map = skinned_fit(uv_map, self.config.skinned)
        if self.config.sr is None:
            return uv_map
        if self.config.sr.stop_gradient:
            uv_map = jax.lax.stop_gradient(uv_map)
        sr_size = (self.config.sr.size, self.config.sr.size)
        uv_map = resize_corner_aligned(uv_map, sr_size, cpu_path=self.cpu_paths)
        return self.sr_net(uv_map) if super_resolve else uv_map


def build_model(
    config: HandNetConfig, *, rematerialise: bool = False, by_picture: bool = False
) -> HandNet:
    """The network that a config describes; "auto" CPU paths are decided here, once.

    Args:
        rematerialise: trade work for memory in gradients; variables and results are the same.
        by_picture: for batches that several devices share (see `ops.grid_sample`), likewise.
    """
    cpu_paths = {"on": True, "off": False, "auto": jax.default_backend() == "cpu"}
    return HandNet(
        config,
        cpu_paths=cpu_paths[config.cpu_paths],
        rematerialise=rematerialise,
        by_picture=by_picture,
    )
