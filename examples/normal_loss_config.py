"""The tiny run with a loss of one's own (`normal_loss.py`) beside the package's.

From this repository's root, so that Python finds `examples.normal_loss`:

    python -m launch.train --config examples/normal_loss_config.py
"""

from dataclasses import replace

from configs import tiny
from i2uv_jax.config import ExperimentConfig, LossConfig


def get_config() -> ExperimentConfig:
    terms = (("uv_l1", 1.0), ("examples.normal_loss:surface_normals", 0.05))
    return replace(
        tiny.get_config(),
        name="normal_loss",
        loss=LossConfig(stage_weights=(1.0,), final_terms=terms),
    )
