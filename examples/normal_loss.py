"""A loss of one's own: the angle between predicted and true surface normals.

A loss term is one function from `LossInputs` to `MaskedValues`: a value per element, and where it
counts. Averaging, weights and reports are the package's business. A config names it as
"module:function"; `normal_loss_config.py` does.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.losses import LossInputs, MaskedValues

_EPSILON = 1e-12
"""Added to squared lengths: where a map is flat its normal is zero, and so is its gradient."""


def surface_normals(inputs: LossInputs) -> MaskedValues:
    """1 - cos of the angle between the two maps' normals: 0 for parallel, 2 for opposite ones."""
    cosine = jnp.sum(map_normals(inputs.uv_map) * map_normals(inputs.true_uv_map), axis=-1)
    mask = inputs.texel_mask
    # A normal takes a texel and its neighbours along u and v; all three have to be in the chart.
    inside = mask[:-1, :-1] & mask[:-1, 1:] & mask[1:, :-1]
    return MaskedValues(1 - cosine, inside[None])


def map_normals(uv_map: Float[Array, "b m m 3"]) -> Float[Array, "b m-1 m-1 3"]:
    """Unit normals: the cross product of the steps to the next texel along u and along v."""
    along_u = uv_map[:, :-1, 1:] - uv_map[:, :-1, :-1]
    along_v = uv_map[:, 1:, :-1] - uv_map[:, :-1, :-1]
    normal = jnp.cross(along_u, along_v)
    return normal / jnp.sqrt(jnp.sum(normal**2, axis=-1, keepdims=True) + _EPSILON)
