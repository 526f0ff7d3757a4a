"""SRNet by itself as published (I2UV-HandNet, ICCV 2021): 256 x 256, for accelerators.

Global batch 512, Adam, learning rate 1e-3 with cosine decay, L1, Gaussian-smoothed targets, each
pair turned by any angle in the picture's plane. Coarse maps are the rigged hand's with drawn
errors; --surface_pairs.affine=MODEL takes a frozen AffineNet's of rendered pictures instead,
--data.sets=DIR:1 registered scans. `i2uv join` puts the result into one file with an AffineNet.

    i2uv train --config configs/paper_srnet.py
"""

from i2uv_jax.config import (
    DetailConfig,
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
        name="paper_srnet",
        model=HandNetConfig(affine=None, sr=SRNetConfig(size=256)),
        # Outside the chart, too: vertices at its border are sampled from there.
        loss=LossConfig(stage_weights=(), final_terms=(("uv_l1", 1.0), ("uv_mask", 0.1))),
        surface_pairs=SurfacePairConfig(detail=DetailConfig(smoothing_texels=1.0)),
        optim=OptimConfig(algorithm="adam", peak_learning_rate=1e-3),
        train=TrainConfig(
            num_steps=20_000,
            batch_size=512,
            picture_every=1000,
            evaluate_every=1000,
            save_every=1000,
        ),
        evaluation=EvaluationConfig(num_images=1024),
    )
