"""Numbers drawn together have the distributions that they claim."""

import jax
import numpy as np

from i2uv_jax.render.draws import draw


def test_distributions_of_drawn_numbers():
    uniforms, normals = draw(jax.random.key(0), 4000, 4000)
    levels = np.arange(1, 10) / 10
    np.testing.assert_allclose(np.quantile(uniforms, levels), levels, atol=0.03)
    # Deciles of the standard normal distribution.
    deciles = [-1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816]
    np.testing.assert_allclose(np.quantile(normals, levels), deciles, atol=0.08)
    assert np.isfinite(normals).all()
    assert abs(np.corrcoef(uniforms, normals)[0, 1]) < 0.05
