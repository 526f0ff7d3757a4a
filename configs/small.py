"""The first default model: three-eighths-width ResNet-18 at 128 x 128, for two CPU cores.

i2uv train --config configs/small.py
"""

from i2uv_jax.config import (
    AffineNetConfig,
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    OptimConfig,
    RenderConfig,
    SRNetConfig,
    TrainConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="small",
        model=HandNetConfig(
            affine=AffineNetConfig(
                encoder="resnet18",
                width=0.375,
                decoder_channels=(64, 48, 32, 24),
                learned_mean=True,
                upsample_last=True,
            ),
            sr=SRNetConfig(channels=(16, 8), kernels=(5, 3, 3), size=64),
            image_size=128,
        ),
        render=RenderConfig(supersampling=1),
        data=DataConfig(reuse=2),
        optim=OptimConfig(
            algorithm="adamw",
            peak_learning_rate=4e-3,
            warmup_steps=100,
            weight_decay=1e-2,
            clip_norm=1.0,
        ),
        train=TrainConfig(
            num_steps=1000,
            batch_size=32,
            ema_decay=0.99,
            max_minutes=29.0,
            log_every=20,
            picture_every=500,
            evaluate_every=500,
            save_every=100,
        ),
        evaluation=EvaluationConfig(num_images=256),
    )
