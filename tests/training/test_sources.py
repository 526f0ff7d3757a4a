"""Sources of batches as configs put them together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import load_config, with_overrides
from i2uv_jax.data import told_keypoints
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.training import seen_extension, sources
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
        seen_extension, "see_keypoints", lambda key, config, variables, image, true: true + error
    )
    monkeypatch.setattr(told_keypoints, "load_mean_error", lambda: np.zeros((21, 3), np.float32))
    monkeypatch.setattr(told_keypoints, "_ERROR_SCALES", (1.0, 1.0))
    source = sources.build_source(config, make_mesh(1))
    lengths, angles = [], []
    for step in range(4):
        batch = source.training_batch(step)
        told = np.asarray(batch.told_keypoints - keypoints_in_crop(batch.camera, batch.keypoints))
        told = told[np.isfinite(told).all(axis=(1, 2))]
        np.testing.assert_allclose(np.delete(told, 4, axis=1), 0, atol=1e-5)
        lengths.extend(np.linalg.norm(told[:, 4], axis=-1))
        angles.extend(np.arctan2(told[:, 4, 1], -told[:, 4, 0]))
    assert len(lengths) > 4 and 0.07 < min(lengths) < 0.095 < 0.105 < max(lengths) < 0.14
    assert np.ptp(angles) > 0.2
    (unvaried,) = source.evaluation_batches()
    true = keypoints_in_crop(unvaried.camera, unvaried.keypoints)
    errors = np.asarray(unvaried.told_keypoints - true)
    np.testing.assert_allclose(errors[np.isfinite(errors[:, 4, 0]), 4, 0], -0.1, atol=1e-5)


def test_without_keypoints_to_tell_nothing_is_seen(config, fast_renderer, monkeypatch):
    monkeypatch.setattr(seen_extension, "see_keypoints", None)
    config = with_overrides(config, ["model.affine.takes_keypoints=false"])
    assert sources.build_source(config, make_mesh(1)).training_batch(0).told_keypoints is None


def test_batches_are_the_same_on_two_devices_and_after_a_resume(config, fast_renderer, monkeypatch):
    """With what is seen, reused and told."""
    monkeypatch.setattr(
        seen_extension,
        "see_keypoints",
        lambda key, config, variables, image, true: (
            true + 0.01 * jax.random.normal(key, true.shape) + image.mean(axis=(1, 2))[:, None]
        ),
    )
    one, two = (sources.build_source(config, make_mesh(count)) for count in (1, 2))
    first = [one.training_batch(step) for step in range(5)]
    later = two.training_batch(4)  # of the second pool, with none before it
    assert later.seen_keypoints is None
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), first[4], later)
    assert not np.array_equal(first[4].image, first[0].image)
    assert one.state(5) == two.state(5) and "seen_by" in one.state(0)
