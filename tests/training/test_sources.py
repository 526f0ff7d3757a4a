"""Sources of batches as configs put them together."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import load_config, with_overrides
from i2uv_jax.data import told_keypoints
from i2uv_jax.training import sources
from i2uv_jax.training.sharding import make_mesh


@pytest.fixture
def config(request):
    overrides = (
        "model.affine.takes_keypoints=true",
        "train.batch_size=4",
        "evaluation.num_images=4",
        "data.reuse=2",
        "data.told_share=1.0",
    )
    path = request.config.rootpath / "configs" / "tiny.py"
    return with_overrides(load_config(path, ExperimentConfig), overrides)


def test_told_keypoints_are_what_is_seen_before_pictures_are_varied(
    config, fast_renderer, monkeypatch
):
    """A network that sees one keypoint a tenth of the crop too far left, and all else as it is: the
    error turns and grows with the picture."""
    error = jnp.zeros((21, 3)).at[4, 0].set(-0.1)
    monkeypatch.setattr(
        sources, "see_keypoints", lambda key, config, variables, image, true: true + error
    )
    monkeypatch.setattr(told_keypoints, "load_mean_error", lambda: np.zeros((21, 3), np.float32))
    monkeypatch.setattr(told_keypoints, "_ERROR_SCALES", (1.0, 1.0))
    source = sources.build_source(config, make_mesh(1))
    lengths, angles = [], []
    for step in range(4):
        batch = source.training_batch(step)
        told = np.asarray(batch.told_keypoints - told_keypoints.true_keypoints(batch))
        told = told[np.isfinite(told).all(axis=(1, 2))]
        np.testing.assert_allclose(np.delete(told, 4, axis=1), 0, atol=1e-5)
        lengths.extend(np.linalg.norm(told[:, 4], axis=-1))
        angles.extend(np.arctan2(told[:, 4, 1], -told[:, 4, 0]))
    assert len(lengths) > 4 and 0.07 < min(lengths) < 0.095 < 0.105 < max(lengths) < 0.14
    assert np.ptp(angles) > 0.2
    (unvaried,) = source.evaluation_batches()
    errors = np.asarray(unvaried.told_keypoints - told_keypoints.true_keypoints(unvaried))
    np.testing.assert_allclose(errors[np.isfinite(errors[:, 4, 0]), 4, 0], -0.1, atol=1e-5)


def test_without_keypoints_to_tell_nothing_is_seen(config, fast_renderer, monkeypatch):
    monkeypatch.setattr(sources, "see_keypoints", None)
    config = with_overrides(config, ["model.affine.takes_keypoints=false"])
    assert sources.build_source(config, make_mesh(1)).training_batch(0).told_keypoints is None
