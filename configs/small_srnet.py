"""SRNet by itself at 64 x 64, in the residual form: minutes on two CPU cores.

Coarse errors are mostly of the kind that a network of this reach can mend, noise from texel to
texel; regions that drift together look like other hands to it.

    i2uv train --config configs/small_srnet.py
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
        name="small_srnet",
        model=HandNetConfig(
            affine=None,
            sr=SRNetConfig(
                channels=(32, 16), kernels=(5, 3, 3), residual=True, detail_gain=32.0, size=64
            ),
        ),
        # Outside the chart, too: vertices at its border are sampled from there.
        loss=LossConfig(stage_weights=(), final_terms=(("uv_l1", 1.0), ("uv_mask", 0.1))),
        surface_pairs=SurfacePairConfig(
            coarse=CoarseErrorConfig(
                smoothing_texels=1.0, noise_mm=2.0, noise_texels=0.5, drift_mm=1.0
            )
        ),
        optim=OptimConfig(algorithm="adam", peak_learning_rate=2e-3),
        train=TrainConfig(
            num_steps=1000,
            batch_size=8,
            log_every=50,
            picture_every=1000,
            evaluate_every=500,
            save_every=500,
        ),
        evaluation=EvaluationConfig(num_images=128),
    )
