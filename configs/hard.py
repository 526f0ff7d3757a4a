"""A harder test set than training ever draws, to measure models on, not to train them.

i2uv eval synthetic --config configs/hard.py --seed 9001 --out OUT

All views alike, strong and wrong light, wide-angle cameras, hands small or cut off, most of them
holding something or behind it, skins and backgrounds drawn (so that none of a folder's is known to
a model that was trained on it), a sensor at full strength.
"""

from i2uv_jax.config import (
    BackgroundConfig,
    ExperimentConfig,
    ForearmConfig,
    LightConfig,
    OcclusionConfig,
    RenderConfig,
    SensorConfig,
    SkinConfig,
)


def get_config() -> ExperimentConfig:
    return ExperimentConfig(
        name="hard",
        render=RenderConfig(
            min_fill=0.3,
            max_fill=1.05,
            centre_jitter=0.15,
            max_slant=0.6,
            tilt_degrees=None,
            skin=SkinConfig(variation=1.5),
            light=LightConfig(exposure=0.8),
            forearm=ForearmConfig(share=0.9, ring_share=0.3, band_share=0.4),
            background=BackgroundConfig(skin_share=0.5),
            occlusion=OcclusionConfig(
                front_share=0.4, grasp_share=0.5, limb_share=0.3, truncation_share=0.3
            ),
            sensor=SensorConfig(strength=1.0),
        ),
    )
