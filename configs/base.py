"""The published networks at 256 x 256 with what works in `small`, for accelerators.

ResNet-50, AffineNet and SRNet as in I2UV-HandNet (ICCV 2021), global batch 512, Adam, 1e-3, cosine;
besides, alignment losses, mostly close-ups for a second look, an average of the weights, bfloat16.
docs/base.md: memory, and how to train in pieces of nine minutes. Not trained yet.

    i2uv train --config configs/base.py
"""

from i2uv_jax.config import (
    AffineNetConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OptimConfig,
    RenderConfig,
    SRNetConfig,
    TrainConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="base",
        model=HandNetConfig(
            affine=AffineNetConfig(encoder="resnet50"),
            # The residual form starts as the coarse map, so that it never stands in the way.
            sr=SRNetConfig(residual=True),
            image_size=256,
            dtype="bfloat16",
            looks=2,
        ),
        render=RenderConfig(supersampling=2, closeup_share=0.7),
        loss=LossConfig(
            stage_terms=(
                ("uv_l1", 2.0),
                ("uv_aligned", 4.0),
                ("uv_gradient", 1.0),
                ("uv_mask", 0.1),
            ),
            final_terms=(("uv_l1", 2.0), ("uv_aligned", 4.0), ("uv_gradient", 1.0)),
        ),
        optim=OptimConfig(
            algorithm="adam", peak_learning_rate=1e-3, warmup_steps=500, clip_norm=1.0
        ),
        train=TrainConfig(
            num_steps=100_000,
            batch_size=512,
            ema_decay=0.999,
            picture_every=1000,
            evaluate_every=2000,
            save_every=250,
        ),
        evaluation=EvaluationConfig(num_images=1024),
    )
