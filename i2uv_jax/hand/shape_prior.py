"""Random hand shapes: adults and adolescents.

Hand length (wrist crease to the middle finger's tip) of adults runs from about 159 mm (5th
percentile of women) to 211 mm (95th of men) in the US Army's 1988 survey (Gordon et al. 1989,
ANSUR); adolescents from about 12 years on reach 150 mm. The sampler draws the length, not the
phenotype's stature, and scales to it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.hand.skeleton import NUM_PHENOTYPES, NUM_SHAPE, SHAPE_NAMES

MEAN_SHAPE = np.array([0.5, 2 / 3, 0.5, 0.5, 0.5, 0.5] + [0.0] * (NUM_SHAPE - NUM_PHENOTYPES))
"""The mean adult of MakeHuman; `size` is not yet that of the mean real hand, see `sample_shape`."""

_PHENOTYPE_RANGES = np.array([(0, 1), (0.5, 1), (0, 1), (0, 1), (0.15, 0.7), (0, 1)])
_SIZE = SHAPE_NAMES.index("size")
_SIZE_MEAN, _SIZE_SPREAD, _SIZE_LIMIT = -0.55, 0.45, 1.3
_SPREAD = 0.5
"""Standard deviation of our own variations' coefficients (1 is two standard deviations)."""


def sample_shape(key: PRNGKeyArray) -> Float[Array, "s"]:
    """A random adult or adolescent hand as a shape vector (`skeleton.SHAPE_NAMES`); jit-able."""
    phenotype_key, own_key = jax.random.split(key)
    low, high = _PHENOTYPE_RANGES.T
    phenotype = jax.random.uniform(phenotype_key, (NUM_PHENOTYPES,), minval=low, maxval=high)
    own = jax.random.truncated_normal(own_key, -2.2, 2.2, (NUM_SHAPE - NUM_PHENOTYPES,)) * _SPREAD
    size = jnp.clip(
        _SIZE_MEAN + _SIZE_SPREAD * own[_SIZE - NUM_PHENOTYPES] / _SPREAD,
        -_SIZE_LIMIT,
        _SIZE_LIMIT,
    )
    return jnp.concatenate([phenotype, own]).at[_SIZE].set(size)
