"""The example of a loss of one's own: its values, its gradient, and its way into a run."""

import jax
import jax.numpy as jnp
import numpy as np

from examples.normal_loss import map_normals, surface_normals
from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import from_json, load_config, to_json
from i2uv_jax.losses import LossInputs, masked_mean, total_loss
from i2uv_jax.models.hand_net import HandNetOutput


def tilted_plane(slope, size=6):
    """z rises by `slope` per unit of x."""
    row, column = np.mgrid[:size, :size] / size
    return jnp.asarray(np.stack([column, row, slope * column], axis=-1)[None], jnp.float32)


def inputs(uv_map, true_uv_map, mask=None):
    mask = jnp.ones(uv_map.shape[1:3], bool) if mask is None else jnp.asarray(mask)
    return LossInputs(uv_map=uv_map, true_uv_map=true_uv_map, texel_mask=mask)


def test_angle_between_two_planes_is_what_geometry_says():
    # Slopes 0 and 1: normals 45 degrees apart.
    loss = masked_mean(surface_normals(inputs(tilted_plane(1.0), tilted_plane(0.0))))
    np.testing.assert_allclose(loss, 1 - np.cos(np.pi / 4), rtol=1e-4)
    np.testing.assert_allclose(map_normals(tilted_plane(0.0))[0, 2, 3], [0, 0, 1], atol=1e-6)


def test_texels_outside_the_chart_do_not_count():
    broken = tilted_plane(0.0).at[:, 3:].set(7.0)
    mask = np.zeros((6, 6), bool)
    mask[:3] = True
    loss = masked_mean(surface_normals(inputs(broken, tilted_plane(0.0), mask)))
    np.testing.assert_allclose(loss, 0, atol=1e-6)


def test_gradient_is_finite_where_the_map_is_a_point():
    def loss(uv_map):
        return masked_mean(surface_normals(inputs(uv_map, tilted_plane(0.0))))

    assert jnp.isfinite(jax.grad(loss)(jnp.zeros((1, 6, 6, 3)))).all()


def test_the_config_names_it_and_the_total_counts_it(request):
    path = request.config.rootpath / "examples" / "normal_loss_config.py"
    config = load_config(path, ExperimentConfig)
    assert from_json(ExperimentConfig, to_json(config)) == config
    final, truth = tilted_plane(1.0), tilted_plane(0.0)
    output = HandNetOutput(stage_uv_maps=(final,), uv_map=final)
    _, terms = total_loss(config.loss, output, truth, {6: np.ones((6, 6), bool)})
    np.testing.assert_allclose(terms["final/surface_normals"], 1 - np.cos(np.pi / 4), rtol=1e-4)
