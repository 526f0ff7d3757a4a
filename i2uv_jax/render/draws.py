"""Many random numbers from one key at once: a dozen scalars without a dozen keys."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_MARGIN = 1e-6
"""Keeps normal numbers finite."""


def draw(
    key: Array, num_uniform: int, num_normal: int
) -> tuple[Float[Array, "u"], Float[Array, "n"]]:
    """Numbers uniform in [0, 1), and numbers of a standard normal distribution."""
    numbers = jax.random.uniform(key, (num_uniform + num_normal,))
    symmetric = (2 * numbers[num_uniform:] - 1) * (1 - _MARGIN)
    return numbers[:num_uniform], jnp.sqrt(2.0) * jax.scipy.special.erfinv(symmetric)
