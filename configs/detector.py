"""The detector of hands in whole pictures: half an hour on two CPU cores.

i2uv train --config configs/detector.py --render.skin.folder=SKINS
--render.background.folder=PICTURES: see BUILD.md; without the folders skins and backgrounds are
drawn.
"""

from i2uv_jax.config import (
    DetectorExperimentConfig,
    EvaluationConfig,
    OptimConfig,
    TrainConfig,
)


def get_config() -> DetectorExperimentConfig:
    return DetectorExperimentConfig(
        name="detector",
        optim=OptimConfig(
            algorithm="adamw",
            peak_learning_rate=3e-3,
            warmup_steps=100,
            weight_decay=1e-2,
            clip_norm=5.0,
        ),
        train=TrainConfig(
            num_steps=2400,
            batch_size=32,
            ema_decay=0.995,
            log_every=20,
            picture_every=600,
            evaluate_every=600,
            save_every=200,
        ),
        evaluation=EvaluationConfig(num_images=256),
    )
