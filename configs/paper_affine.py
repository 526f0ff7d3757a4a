"""AffineNet as published (I2UV-HandNet, ICCV 2021): ResNet-50 at 256 x 256, for accelerators.

Global batch 512, Adam, learning rate 1e-3 with cosine decay, the four finest stages with weight 1.
The global batch stays 512 on any number of devices that divides it; where memory is short add
--train.microbatches=4 or --train.rematerialise=true. See launch/README.md for several hosts.

    i2uv train --config configs/paper_affine.py
"""

from i2uv_jax.config import (
    AffineNetConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OptimConfig,
    TrainConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="paper_affine",
        model=HandNetConfig(affine=AffineNetConfig(encoder="resnet50"), sr=None, image_size=256),
        loss=LossConfig(stage_weights=(1.0, 1.0, 1.0, 1.0), final_terms=()),
        optim=OptimConfig(algorithm="adam", peak_learning_rate=1e-3),
        train=TrainConfig(
            num_steps=100_000,
            batch_size=512,
            picture_every=1000,
            evaluate_every=2000,
            save_every=1000,
        ),
        evaluation=EvaluationConfig(num_images=1024),
    )
