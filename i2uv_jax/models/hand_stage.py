"""The first stage of coarse-to-fine networks: a hand laid into the picture as one piece.

A network that is not yet sure how a hand is turned predicts the mean of what it may be: a shrunken,
flat hand. Here turning is taken apart from bending. From all features of the picture together
follow a rotation, a scale, a place, and how the hand differs from the mean hand in its own frame:

    uv_map = scale R (mean + bend) + place

The rotation comes from six numbers by Gram-Schmidt (Zhou et al., On the Continuity of Rotation
Representations in Neural Networks, CVPR 2019), and cannot shrink anything.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.mesh import normalize
from i2uv_jax.hand.mean_hand import mean_uv_map
from i2uv_jax.models.keypoint_encoder import KeypointEncoder, unknown_keypoints
from i2uv_jax.models.layers import batch_norm

PRESENCE = "presence"
"""Name of the layer that tells if a right hand is seen."""

KEYPOINT_ENCODER = "keypoint_encoder"
"""Name of the module that reads told keypoints."""

FIRST_SIZE = 0.65
"""Length of the hand in the picture at the start, in crop sides."""

_UPRIGHT = np.array([1, 0, 0, 0, -1, 0], np.float32)
"""First two columns of a rotation that shows the palm, its fingers up (the hand's +y is down)."""

_SMALL_INIT = nn.initializers.variance_scaling(1e-2, "fan_in", "normal")
_TINY_INIT = nn.initializers.variance_scaling(1e-4, "fan_in", "normal")


class HandStage(nn.Module):
    """All features of a picture to a coarse UV map, and to features of each of its texels."""

    size: int
    """Side of the map in texels."""
    num_hidden: int
    channels: int
    """Features of a texel."""
    presence: bool = False
    """Whether to tell if the picture shows a right hand at all."""
    takes_keypoints: bool = False
    """Whether keypoints can be told."""
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b h w c"],
        keypoints: Float[Array, "b 21 3"] | None = None,
        *,
        train: bool,
    ) -> tuple[
        Float[Array, "b size size channels"],
        Float[Array, "b size size 3"],
        Float[Array, "b"] | None,
    ]:
        """Features of the texels, the map, and the logit of a right hand's presence.

        Args:
          keypoints: as `KeypointEncoder` takes them; None tells nothing.
        """
        batch = features.shape[0]
        x = features.reshape(batch, -1)
        x = nn.Dense(
            self.num_hidden, kernel_init=nn.initializers.he_normal(), dtype=self.dtype, name="dense"
        )(x)
        if self.takes_keypoints:
            if keypoints is None:
                keypoints = unknown_keypoints(1)
            x = x + KeypointEncoder(self.num_hidden, dtype=self.dtype, name=KEYPOINT_ENCODER)(
                keypoints
            )
        x = jax.nn.relu(batch_norm(train=train, dtype=self.dtype, name="norm")(x))
        texels = nn.Dense(
            self.size * self.size * self.channels,
            kernel_init=nn.initializers.he_normal(),
            dtype=self.dtype,
            name="texels",
        )(x)

        # Coordinates are float32 whatever the features' precision.
        x = x.astype(jnp.float32)
        columns = nn.Dense(
            6, kernel_init=_SMALL_INIT, bias_init=lambda *_: jnp.asarray(_UPRIGHT), name="rotation"
        )(x)
        place = nn.Dense(3, kernel_init=_SMALL_INIT, name="place")(x) + jnp.array([0.5, 0.5, 0.0])
        log_scale = nn.Dense(1, kernel_init=_SMALL_INIT, name="log_scale")(x)
        bend = nn.Dense(self.size * self.size * 3, kernel_init=_TINY_INIT, name="bend")(x)
        hand = mean_uv_map(self.size) + bend.reshape(batch, self.size, self.size, 3)
        rotation = rotation_from_columns(columns)
        turned = jnp.einsum("bij,bvuj->bvui", rotation, hand, precision="highest")
        uv_map = FIRST_SIZE * jnp.exp(log_scale)[:, None, None] * turned + place[:, None, None]
        presence_logit = None
        if self.presence:
            # Undecided at the start, whatever the features are.
            presence_logit = nn.Dense(1, kernel_init=nn.initializers.zeros, name=PRESENCE)(x)[:, 0]
        texels = texels.reshape(batch, self.size, self.size, self.channels)
        return texels, uv_map, presence_logit


def rotation_from_columns(columns: Float[Array, "b 6"]) -> Float[Array, "b 3 3"]:
    """The rotation whose first two columns are the given ones made orthonormal, in this order."""
    first = normalize(columns[:, :3])
    second = columns[:, 3:] - jnp.sum(first * columns[:, 3:], axis=-1, keepdims=True) * first
    second = normalize(second)
    return jnp.stack([first, second, jnp.cross(first, second)], axis=-1)
