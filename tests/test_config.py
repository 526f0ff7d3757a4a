"""Configs: overrides by type, JSON round trip, config files, and one clear line per mistake."""

import dataclasses
import re
from pathlib import Path

import pytest

from i2uv_jax.config import DetectorExperimentConfig, ExperimentConfig, HandNetConfig
from i2uv_jax.config_io import (
    changed_fields,
    from_json,
    load_config,
    to_json,
    with_overrides,
)

CONFIG_FILES = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.fixture
def config():
    return ExperimentConfig(name="test")


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("--train.batch_size=8", "train.batch_size", 8),
        ("train.batch-size=8", "train.batch_size", 8),
        ("optim.peak_learning_rate=3e-4", "optim.peak_learning_rate", 3e-4),
        ("optim.clip_norm=2", "optim.clip_norm", 2.0),
        ("train.max_minutes=none", "train.max_minutes", None),
        ("model.sr.residual=true", "model.sr.residual", True),
        ("model.affine.encoder=resnet18", "model.affine.encoder", "resnet18"),
        ("model.affine.decoder_channels=8,4", "model.affine.decoder_channels", (8, 4)),
        (
            "loss.stage_terms=uv_l1:1,mine.losses:smooth:0.5",
            "loss.stage_terms",
            (("uv_l1", 1.0), ("mine.losses:smooth", 0.5)),
        ),
    ],
)
def test_override_is_parsed_by_the_type_of_its_field(config, text, name, expected):
    value = with_overrides(config, [text])
    for part in name.split("."):
        value = getattr(value, part)
    assert value == expected
    assert type(value) is type(expected)


def test_overrides_change_only_what_they_name(config):
    changed = with_overrides(config, ["train.seed=5", "model.sr=none"])
    assert changed == dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, seed=5),
        model=dataclasses.replace(config.model, sr=None),
    )


def test_overrides_are_validated_together(config):
    # Either one alone is refused: the warm-up must end before the run does.
    changed = with_overrides(config, ["optim.warmup_steps=5000", "train.num_steps=9000"])
    assert changed.optim.warmup_steps == 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.batch_sise=8", "unknown config key train.batch_sise; did you mean train.batch_s"),
        ("batch_size=8", "unknown config key batch_size; did you mean train.batch_size"),
        ("train.batch_size=8.5", "train.batch_size: expected int, got '8.5'"),
        ("train.batch_size=many", "train.batch_size: expected int, got 'many'"),
        ("model.sr.residual=maybe", "model.sr.residual: expected bool, got 'maybe'"),
        ("model.affine.encoder=vgg", "encoder: expected one of"),
        ("optim.peak_learning_rate=-1", "optim.peak_learning_rate: expected above 0"),
        ("optim.peak_learning_rate=nan", "optim.peak_learning_rate: expected"),
        ("model.affine.presence=true", "presence: expected false without coarse_to_fine"),
        (
            "loss.presence_weight=1",
            "loss.presence_weight: expected 0 without model.affine.presence",
        ),
        ("model.affine.confidence=true", "confidence: expected false without coarse_to_fine"),
        (
            "loss.confidence_weight=1",
            "loss.confidence_weight: expected 0 without model.affine.confidence",
        ),
        ("loss.confidence_weight=-1", "loss.confidence_weight: expected at least 0"),
        ("loss.absent_share=0", "loss.absent_share: expected a share above 0"),
        ("train.num_steps=none", "train.num_steps: expected int"),
        ("train=5", "set one of its parts"),
        ("train.seed", "expected --key=value"),
        ("train.seed.more=1", "train.seed is 0 and has no part 'more'"),
        (
            "data.sets=somewhere",
            "config key data.sets: expected tuple[str, float], got 'somewhere'",
        ),
        ("data.sets=somewhere:0", "data.sets: expected pairs of a folder and a weight above 0"),
        ("data.workers=-1", "data.workers: expected 0 to 256, got -1"),
        ("data.variation=3", "data.variation: expected 0 to 2, got 3.0"),
    ],
)
def test_bad_override_is_one_clear_line(config, text, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        with_overrides(config, [text])
    assert "\n" not in str(error.value)


def test_stored_sets_are_pairs_of_folder_and_weight(config):
    changed = with_overrides(config, ["--data.sets=a/b:1,C:/d:0.5", "data.turn_degrees=20"])
    assert changed.data.sets == (("a/b", 1.0), ("C:/d", 0.5))
    assert from_json(ExperimentConfig, to_json(changed)) == changed
    with pytest.raises(ValueError, match=r"data\.reuse: expected 1 with data\.sets"):
        with_overrides(config, ["data.sets=a:1", "data.reuse=2"])


def test_json_round_trip_keeps_every_value(config):
    changed = with_overrides(
        config, ["model.sr=none", "optim.clip_norm=0.5", "model.affine.decoder_channels=8,4,2"]
    )
    assert from_json(ExperimentConfig, to_json(changed)) == changed


def test_loss_function_is_recorded_by_its_path(config):
    loss = dataclasses.replace(config.loss, stage_terms=((changed_fields, 1.0),))
    restored = from_json(ExperimentConfig, to_json(dataclasses.replace(config, loss=loss)))
    assert restored.loss.stage_terms == (("i2uv_jax.config_io:changed_fields", 1.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"name": "a", "trian": {}}', "unknown config key trian; did you mean train?"),
        ('{"name": "a", "train": {"batch_size": "8"}}', "train.batch_size: expected int, got '8'"),
        ('{"train": {}}', "name"),
    ],
)
def test_bad_json_is_one_clear_line(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_json(ExperimentConfig, text)


def test_changed_fields_names_the_differences(config):
    changed = with_overrides(config, ["train.seed=5"])
    assert changed_fields(config, changed) == {"train.seed": (0, 5)}
    assert "model.sr" in changed_fields(config, with_overrides(config, ["model.sr=none"]))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.stem)
def test_shipped_config_loads_and_is_named_after_its_file(path):
    config = load_config(path, ExperimentConfig, DetectorExperimentConfig)
    assert config.name == path.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("x = 1", "defines no function get_config"),
        ("def get_config(): return 3", "must return ExperimentConfig, got int"),
        ("def get_config(:", "SyntaxError"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        (
            "from i2uv_jax.config import *\n"
            "def get_config(): return ExperimentConfig(name='a', train=TrainConfig(seed='0'))",
            "train.seed: expected int, got '0'",
        ),
        (
            "from i2uv_jax.config import *\n"
            "def get_config(): return ExperimentConfig(name='a', train=TrainConfig(batch_size=0))",
            "train.batch_size: expected at least 1, got 0",
        ),
    ],
)
def test_bad_config_file_is_one_clear_line(tmp_path, text, message):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load_config(path, ExperimentConfig)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_configs_are_hashable_so_they_can_be_static_arguments():
    assert hash(HandNetConfig()) == hash(HandNetConfig())
