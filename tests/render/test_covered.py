"""Work on covered samples only: the same values as work on all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.render.covered import map_covered


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_values_are_those_of_the_function_where_covered_and_as_given_elsewhere(share):
    # Covering from almost none to almost all of each picture; 700 is no multiple of a piece.
    covered = jax.random.uniform(jax.random.key(1), (3, 700)) < share * jnp.array(
        [[0.05], [1], [1]]
    )
    function = lambda picture, sample: jnp.stack([1000 * picture + sample, -sample])  # noqa: E731
    values = jax.jit(lambda c: map_covered(function, c, jnp.full((3, 700, 2), 7)))(covered)
    picture, sample = np.mgrid[:3, :700]
    expected = np.stack([1000 * picture + sample, -sample], axis=-1)
    expected = np.where(covered[..., None], expected, 7)
    np.testing.assert_array_equal(values, expected)
