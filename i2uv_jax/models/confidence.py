"""How far from the truth each texel of a map is to be expected, told beside the map.

The head says the scale b of a Laplace distribution of the texel's distance d >= 0 from the truth.
Of that half of it which distances have, p(d) = exp(-d / b) / b, the scale is the mean, so that b is
the distance to expect. `losses.confidence_loss` trains it; there more than one number a texel, such
as a scale for each axis, would say nothing more about d.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.models.layers import Conv

CONFIDENCE = "confidence"
"""Name of the head in AffineNet."""

FIRST_ERROR = 0.1
"""What is expected of every texel before anything is learned, in crop sides."""

_GAIN = 10.0
"""Of the convolution's answer: the optimiser's steps are of one size for all parameters that no
norm follows, and small, since others' answers are coordinates; a logarithm has farther to go."""


class ConfidenceHead(nn.Module):
    """Plain 1x1 convolution to the scale's logarithm, in float32 whatever the features' precision.

    It reads the features through `stop_gradient`: what tells of the map's errors must not move what
    the map is made of, or the map would trade accuracy for errors that are easy to tell. So maps
    are the same with and without it, and it can be trained beside them or once they are done.
    """

    @nn.compact
    def __call__(self, features: Float[Array, "b m m c"]) -> Float[Array, "b m m"]:
        change = Conv(1, 1, kernel_init=nn.initializers.zeros, name="conv")(
            jax.lax.stop_gradient(features).astype(jnp.float32)
        )
        return np.log(FIRST_ERROR) + _GAIN * change[..., 0]
