"""The losses that a config names, on a source's geometry."""

from dataclasses import replace

import pytest

from i2uv_jax.training.hand_loss import build_loss


@pytest.mark.parametrize("kind", ["stage_terms", "final_terms"])
def test_two_losses_of_one_name_are_refused(sheet_config, sheet_source, kind):
    # Each has a number of its own in the reports, by its name.
    loss = replace(sheet_config.loss, **{kind: (("uv_l1", 1.0), ("i2uv_jax.losses:uv_l1", 0.5))})
    source = sheet_source(sheet_config)
    with pytest.raises(ValueError, match=rf"loss\.{kind}: expected different names, got 'uv_l1'"):
        build_loss(loss, sheet_config.model, source)
    build_loss(sheet_config.loss, sheet_config.model, source)
