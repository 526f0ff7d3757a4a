"""The default model: a half-width ResNet-18 at 64 x 64 that looks twice; hours on two CPU cores.

i2uv train --config configs/small.py --render.skin.folder=SKINS --render.background.folder=PICTURES:
see BUILD.md; without the folders skins and backgrounds are drawn.
"""

from i2uv_jax.config import (
    AffineNetConfig,
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OptimConfig,
    RenderConfig,
    TrainConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="small",
        model=HandNetConfig(
            affine=AffineNetConfig(
                encoder="resnet18",
                width=0.5,
                decoder_channels=(256, 16, 48, 32, 16),
                coarse_to_fine=True,
                upsample_last=True,
                presence=True,
                takes_keypoints=True,
                confidence=True,
            ),
            # Its SRNet is trained apart (configs/fine.py) and put behind it where it is wanted.
            sr=None,
            image_size=64,
            looks=2,
            skinned=64,
        ),
        render=RenderConfig(supersampling=2, closeup_share=0.7),
        data=DataConfig(reuse=6),
        loss=LossConfig(
            stage_terms=(
                ("uv_l1", 3.0),
                ("uv_aligned", 4.0),
                ("uv_gradient", 1.0),
                ("uv_mask", 0.1),
            ),
            final_terms=(("uv_l1", 3.0), ("uv_aligned", 4.0), ("uv_gradient", 1.0)),
            presence_weight=0.2,
            absent_share=0.2,
            confidence_weight=0.01,
        ),
        optim=OptimConfig(
            algorithm="muon",
            peak_learning_rate=1e-2,
            warmup_steps=100,
            weight_decay=1e-2,
            clip_norm=1.0,
        ),
        train=TrainConfig(
            num_steps=10_000,
            batch_size=128,
            ema_decay=0.998,
            log_every=20,
            picture_every=1000,
            evaluate_every=1000,
            save_every=250,
        ),
        evaluation=EvaluationConfig(num_images=256),
    )
