"""The moving average of weights, and the errors of an evaluation step, on known cases."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training.hand_evaluation import build_evaluation_step
from i2uv_jax.training.state import update_average


class KnownAnswer:
    """Stands for a model: answers with a given map, whatever the picture."""

    def __init__(self, uv_map, image_size, log_error=None):
        self.uv_map, self.log_error = uv_map, log_error
        self.config = SimpleNamespace(looks=1, image_size=image_size, tells_presence=False)

    def apply(self, variables, image, keypoints=None, *, train, super_resolve=True):
        return HandNetOutput(stage_uv_maps=(), uv_map=self.uv_map, log_error=self.log_error)


def errors_for(change_map, sheet_source, sheet_config, log_error=None):
    source = sheet_source(sheet_config)
    batch = source.training_batch(0)
    tables = build_tables(source.atlas, sheet_config.model.uv_map_size)
    model = KnownAnswer(change_map(batch.uv_map), sheet_config.model.image_size, log_error)
    return build_evaluation_step(model, tables, source.keypoint_regressor)({}, batch)[1]


def test_true_map_has_almost_no_error(sheet_source, sheet_config):
    errors = errors_for(lambda uv_map: uv_map, sheet_source, sheet_config)
    # What an 8 x 8 map of a bent sheet loses.
    for name, values in errors.items():
        assert values.shape == (sheet_config.train.batch_size,), name
        assert float(values.max()) < 5, name


def test_alignment_forgives_a_shift_that_the_plain_error_sees(sheet_source, sheet_config):
    def scaled_about_the_wrist(uv_map):
        # 10 % larger about the principal point, in a nearly flat sheet 0.5 m away.
        centre = jnp.array([0.5, 0.5, 0.0])
        return centre + 1.1 * (uv_map - centre)

    plain = errors_for(lambda uv_map: uv_map, sheet_source, sheet_config)
    scaled = errors_for(scaled_about_the_wrist, sheet_source, sheet_config)
    # Points lie up to 150 mm from the wrist: a tenth of their mean distance is several mm.
    assert float((scaled["vertex_mm"] - plain["vertex_mm"]).min()) > 3
    assert float((scaled["aligned_vertex_mm"] - plain["aligned_vertex_mm"]).max()) < 1


def test_expected_errors_stand_beside_true_ones(sheet_source, sheet_config):
    size = sheet_config.model.uv_map_size
    # Texels are wrong by 0.01 crop sides in the upper half of the map and by 0.02 in the lower one.
    wrong = jnp.repeat(jnp.array([0.01, 0.02]), size // 2)[:, None]

    def off(uv_map):
        return uv_map.at[..., 0].add(wrong)

    def score(expected):
        log_error = jnp.broadcast_to(jnp.log(expected), (4, size, size))
        return errors_for(off, sheet_source, sheet_config, log_error)

    # The sheet is 0.5 m away, and the focal length 2.5 sides: a side is 200 mm.
    rows = score(2 * wrong)
    np.testing.assert_allclose(rows["texel_mm"], 3, rtol=0.2)
    np.testing.assert_allclose(rows["expected_texel_mm"], 2 * rows["texel_mm"], rtol=1e-4)
    np.testing.assert_allclose(rows["confidence_correlation"], 1, atol=1e-3)
    rows = score(0.03 - wrong)
    np.testing.assert_allclose(rows["confidence_correlation"], -1, atol=1e-3)
    rows = score(0.03)
    np.testing.assert_allclose(rows["expected_texel_mm"], 0.03 * 200, rtol=0.2)
    np.testing.assert_allclose(rows["confidence_correlation"], 0, atol=0.01)


def test_average_follows_its_definition():
    average, new = {"a": jnp.array(0.0)}, {"a": jnp.array(1.0)}
    # Step 0: the decay is (1 + 0) / (10 + 0); far on it is the one that was asked for.
    np.testing.assert_allclose(update_average(average, new, 0, 0.99)["a"], 0.9, rtol=1e-6)
    np.testing.assert_allclose(update_average(average, new, 10**6, 0.99)["a"], 0.01, rtol=1e-4)
