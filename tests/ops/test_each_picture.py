"""Work on each picture of a batch is the same, one after the other or all at once."""

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.ops.each_picture import each_picture


def test_agrees_with_vmap_on_keys_choices_and_trees():
    def function(key, picture):
        noisy = picture + jax.random.uniform(key, picture.shape)
        return {"sum": noisy.sum(), "picture": jax.lax.cond(noisy[0] > 1, jnp.sin, jnp.cos, noisy)}

    batch = jax.random.split(jax.random.key(0), 6), np.linspace(0, 1, 24).reshape(6, 4)
    found = jax.jit(lambda *batch: each_picture(function, *batch))(*batch)
    expected = jax.vmap(function)(*batch)
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, atol=1e-5), found, expected)
