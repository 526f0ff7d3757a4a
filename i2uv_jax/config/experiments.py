"""Whole training runs."""

from dataclasses import dataclass, field

from i2uv_jax.config.checks import check
from i2uv_jax.config.losses import LossConfig
from i2uv_jax.config.networks import DetectorConfig, HandNetConfig
from i2uv_jax.config.rendering import RenderConfig
from i2uv_jax.config.scenes import SceneConfig, scene_hands
from i2uv_jax.config.surfaces import SurfacePairConfig
from i2uv_jax.config.training import DataConfig, EvaluationConfig, OptimConfig, TrainConfig


def _check_run(name: str, optim: OptimConfig, train: TrainConfig) -> None:
    check(
        bool(name) and all(c.isalnum() or c in "-_." for c in name),
        "name",
        "letters, digits, '-', '_' and '.'",
        name,
    )
    check(
        optim.warmup_steps < train.num_steps,
        "optim.warmup_steps",
        f"below train.num_steps ({train.num_steps})",
        optim.warmup_steps,
    )


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole training run: `i2uv train` builds everything from this value."""

    name: str
    """Name of the run's folder and of the model it exports."""
    model: HandNetConfig = field(default_factory=HandNetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    data: DataConfig = field(default_factory=DataConfig)
    surface_pairs: SurfacePairConfig = field(default_factory=SurfacePairConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        _check_run(self.name, self.optim, self.train)
        check(
            self.loss.presence_weight == 0 or self.model.tells_presence,
            "loss.presence_weight",
            "0 without model.affine.presence",
            self.loss.presence_weight,
        )
        check(
            self.loss.confidence_weight == 0 or self.model.tells_confidence,
            "loss.confidence_weight",
            "0 without model.affine.confidence",
            self.loss.confidence_weight,
        )


@dataclass(frozen=True)
class DetectorExperimentConfig:
    """A whole training run of a detector."""

    name: str
    """Name of the run's folder and of the model it exports."""
    model: DetectorConfig = field(default_factory=DetectorConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    render: RenderConfig = field(default_factory=scene_hands)
    """The hands, the backgrounds, and the camera that takes the scenes."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        _check_run(self.name, self.optim, self.train)


AnyExperimentConfig = ExperimentConfig | DetectorExperimentConfig
"""What `i2uv train` takes."""
