"""Every default value of the package, as frozen (hashable) dataclasses.

A config names a model or a run completely: it is stored in checkpoints as JSON and is passed to
jitted functions as a static argument. Each class checks its own values when it is made and raises
a ValueError that names the field, what was expected and what came. Nothing here imports JAX or the
rest of the package.
"""

from i2uv_jax.config.experiments import (
    AnyExperimentConfig,
    DetectorExperimentConfig,
    ExperimentConfig,
)
from i2uv_jax.config.losses import LossConfig, LossTerm
from i2uv_jax.config.networks import (
    CPU_PATHS_MODES,
    DTYPE_NAMES,
    ENCODER_NAMES,
    STAGE_STRIDES,
    AffineNetConfig,
    DetectorConfig,
    HandNetConfig,
    LandmarkNetConfig,
    PalmNetConfig,
    SRNetConfig,
)
from i2uv_jax.config.rendering import (
    BackgroundConfig,
    ForearmConfig,
    LightConfig,
    OcclusionConfig,
    RenderConfig,
    SensorConfig,
    SkinConfig,
    plain_looks,
)
from i2uv_jax.config.scenes import SceneConfig, scene_hands
from i2uv_jax.config.surfaces import CoarseErrorConfig, DetailConfig, SurfacePairConfig
from i2uv_jax.config.training import (
    BAD_STEP_MODES,
    OPTIMIZER_NAMES,
    DataConfig,
    EvaluationConfig,
    OptimConfig,
    TrainConfig,
)

__all__ = [
    "BAD_STEP_MODES",
    "CPU_PATHS_MODES",
    "DTYPE_NAMES",
    "ENCODER_NAMES",
    "OPTIMIZER_NAMES",
    "STAGE_STRIDES",
    "AffineNetConfig",
    "AnyExperimentConfig",
    "BackgroundConfig",
    "CoarseErrorConfig",
    "DataConfig",
    "DetailConfig",
    "DetectorConfig",
    "DetectorExperimentConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "ForearmConfig",
    "HandNetConfig",
    "LandmarkNetConfig",
    "LightConfig",
    "LossConfig",
    "LossTerm",
    "OcclusionConfig",
    "OptimConfig",
    "PalmNetConfig",
    "RenderConfig",
    "SRNetConfig",
    "SceneConfig",
    "SensorConfig",
    "SkinConfig",
    "SurfacePairConfig",
    "TrainConfig",
    "plain_looks",
    "scene_hands",
]
