"""The big config's step at its full size, on a few pictures."""

import jax
import numpy as np
import pytest

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import load_config, with_overrides
from i2uv_jax.training.program import build_program

OVERRIDES = ("train.num_devices=1", "train.batch_size=2", "evaluation.num_images=2")


@pytest.mark.slow
def test_steps_of_the_base_config_change_both_networks(request, sheet_source):
    path = request.config.rootpath / "configs" / "base.py"
    config = with_overrides(load_config(path, ExperimentConfig), OVERRIDES)
    program = build_program(config, sheet_source(config))
    batch = program.source.training_batch(0)
    assert batch.image.shape == batch.uv_map.shape == (2, 256, 256, 3)
    state = program.first_state()
    before = jax.device_get(state.params)
    # Warm-up begins with a learning rate of nothing.
    for _ in range(2):
        state, metrics = program.train_step(state, batch)
        assert np.isfinite(float(metrics["loss/total"]))
        assert 0 < float(metrics["gradient_norm"]) < np.inf
    for part in ("affine_net", "sr_net"):
        pairs = zip(jax.tree.leaves(before[part]), jax.tree.leaves(state.params[part]), strict=True)
        assert any(not np.array_equal(old, new) for old, new in pairs), part
