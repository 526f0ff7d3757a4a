"""What a model's file says of the run that made it."""

from dataclasses import replace

from i2uv_jax.config import (
    DetectorExperimentConfig,
    ExperimentConfig,
    OptimConfig,
    RenderConfig,
    SkinConfig,
    TrainConfig,
)
from i2uv_jax.training.model_file import recipe

ASKED_FOR = {
    "loss.stage_terms",
    "loss.stage_weights",
    "loss.final_terms",
    "optim.algorithm",
    "optim.peak_learning_rate",
    "train.num_steps",
    "train.batch_size",
    "train.seed",
}


def test_a_run_of_defaults_tells_what_everybody_asks_for():
    told = recipe(ExperimentConfig(name="it"))
    assert set(told) == ASKED_FOR
    assert told["optim.algorithm"] == "adam" and told["optim.peak_learning_rate"] == 1e-3
    assert told["loss.stage_terms"][0] == ["uv_l1", 1.0]
    detector = recipe(DetectorExperimentConfig(name="it"))
    assert set(detector) == {name for name in ASKED_FOR if not name.startswith("loss.")}


def test_changed_values_are_told_bookkeeping_and_places_are_not():
    config = ExperimentConfig(
        name="it",
        render=RenderConfig(closeup_share=0.7, skin=SkinConfig(folder="/home/me/skins/")),
        optim=OptimConfig(algorithm="muon", clip_norm=1.0),
        train=TrainConfig(ema_decay=0.9, save_every=7, max_minutes=9.0, init_from="/home/me/a"),
    )
    config = replace(config, model=replace(config.model, image_size=64))
    told = recipe(config)
    assert {name: told[name] for name in set(told) - ASKED_FOR} == {
        "render.closeup_share": 0.7,
        "render.skin.folder": "skins",
        "optim.clip_norm": 1.0,
        "train.ema_decay": 0.9,
    }
