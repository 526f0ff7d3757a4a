"""The SRNet behind `i2uv predict --fine`: from the default model's 32 x 32 texels to the skin's
relief at 256 x 256; twenty minutes on two CPU cores that do other work besides.

    i2uv train --config configs/fine.py
"""

from i2uv_jax.config import (
    CoarseErrorConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    LossConfig,
    OptimConfig,
    SRNetConfig,
    SurfacePairConfig,
    TrainConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="fine",
        model=HandNetConfig(
            affine=None,
            sr=SRNetConfig(
                channels=(24,),
                kernels=(3, 3),
                residual=True,
                detail_gain=256.0,
                texel_features=4,
                size=256,
            ),
        ),
        # Outside the chart, too: vertices at its border are sampled from there.
        loss=LossConfig(
            stage_weights=(),
            final_terms=(("uv_l1", 1.0), ("uv_gradient", 10.0), ("uv_mask", 0.1)),
        ),
        surface_pairs=SurfacePairConfig(
            coarse=CoarseErrorConfig(
                texels=32,
                smoothing_texels=0.0,
                noise_mm=0.5,
                drift_mm=1.0,
                drift_texels=64,
                shrinkage=0.0,
            )
        ),
        optim=OptimConfig(algorithm="adam", peak_learning_rate=5e-3, warmup_steps=20),
        train=TrainConfig(
            num_steps=500,
            batch_size=4,
            log_every=25,
            picture_every=500,
            evaluate_every=250,
            save_every=100,
        ),
        evaluation=EvaluationConfig(num_images=64),
    )
