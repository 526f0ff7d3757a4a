"""What twenty minutes from nothing on two CPU cores teach: plain hands, whole and upright.

i2uv train --config configs/plain.py

Plain skin under a lamp before drawn rooms, in all poses and views, through a perfect camera. The
errors it prints are of unseen pictures of the same kind; people's photos are another matter.
"""

from i2uv_jax.config import (
    AffineNetConfig,
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OcclusionConfig,
    OptimConfig,
    RenderConfig,
    SensorConfig,
    TrainConfig,
    plain_looks,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="plain",
        model=HandNetConfig(
            affine=AffineNetConfig(
                encoder="resnet18",
                width=0.375,
                decoder_channels=(256, 16, 48),
                coarse_to_fine=True,
                upsample_last=True,
            ),
            sr=None,
            image_size=64,
        ),
        render=plain_looks(
            RenderConfig(
                min_fill=0.8,
                max_fill=0.95,
                centre_jitter=0.03,
                upright_share=1.0,
                roll_jitter=0.2,
                occlusion=OcclusionConfig(0, 0, 0, 0),
                sensor=SensorConfig(strength=0.0),
            )
        ),
        data=DataConfig(reuse=3),
        loss=LossConfig(
            stage_terms=(
                ("uv_l1", 1.0),
                ("uv_aligned", 4.0),
                ("uv_gradient", 1.0),
                ("uv_mask", 0.1),
            ),
            final_terms=(("vertices", 1.0),),
        ),
        optim=OptimConfig(
            algorithm="muon", peak_learning_rate=1e-2, warmup_steps=100, weight_decay=1e-2,
            clip_norm=1.0,
        ),
        train=TrainConfig(
            num_steps=2000,
            batch_size=128,
            ema_decay=0.995,
            log_every=50,
            picture_every=1000,
            evaluate_every=1000,
            save_every=1000,
        ),
        evaluation=EvaluationConfig(num_images=512),
    )  # fmt: skip
