"""A run to see that everything works: under a minute on a CPU, learns a little, good for nothing.

i2uv train --config configs/tiny.py
"""

from i2uv_jax.config import (
    AffineNetConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    OptimConfig,
    RenderConfig,
    TrainConfig,
    plain_looks,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="tiny",
        model=HandNetConfig(
            affine=AffineNetConfig(
                encoder="resnet18",
                width=0.25,
                decoder_channels=(128, 8, 32, 24, 16),
                coarse_to_fine=True,
                upsample_last=True,
            ),
            sr=None,
            image_size=64,
        ),
        render=plain_looks(RenderConfig()),
        optim=OptimConfig(
            algorithm="muon", peak_learning_rate=1e-2, warmup_steps=10, clip_norm=1.0
        ),
        train=TrainConfig(
            num_steps=100,
            batch_size=8,
            log_every=10,
            picture_every=50,
            evaluate_every=100,
            save_every=50,
        ),
        evaluation=EvaluationConfig(num_images=32),
    )
