"""`train.init_from`: a run starts from a model's weights, or says why it cannot."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config_io import with_overrides
from i2uv_jax.models.model_files import find_model
from i2uv_jax.models.random_weights import random_variables
from i2uv_jax.models.weights import load_model_file, save_model, variable_shapes
from i2uv_jax.training import program
from i2uv_jax.training.initial_weights import load_initial_variables
from i2uv_jax.training.loop import train
from i2uv_jax.training.run_folder import MODEL_FILE


@pytest.fixture
def model_file(tmp_path, sheet_config):
    """A model of the sheet's config whose every parameter is 0.25."""
    variables = jax.tree.map(
        lambda leaf: np.full(leaf.shape, 0.25, np.float32), variable_shapes(sheet_config.model)
    )
    path = tmp_path / "start.safetensors"
    card = {"name": "start", "steps": 7, "batch_size": 2, "history": [{"name": "before"}]}
    save_model(path, sheet_config.model, variables, card)
    return path


@pytest.fixture
def idle_steps(monkeypatch):
    """Training steps that learn nothing, and so compile at once."""

    def build(optimizer, gradient_of, **options):
        metrics = {"loss/total": jnp.float32(1), "gradient_norm": jnp.float32(0)}
        return lambda state, batch: (state.replace(step=state.step + 1), metrics)

    monkeypatch.setattr(program, "build_train_step", build)


def test_training_starts_from_the_file_s_weights(
    tmp_path, sheet_config, sheet_source, model_file, idle_steps
):
    overrides = [f"train.init_from={model_file}", "train.max_minutes=1e-9"]
    config = with_overrides(sheet_config, overrides)
    result = train(config, tmp_path / "run", source=sheet_source(config))
    for tree in (result.state.params, result.state.average["params"]):
        jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.25), tree)
    *_, card = load_model_file(tmp_path / "run" / MODEL_FILE)
    start = {"name": "start", "steps": 7, "batch_size": 2}
    assert card["history"] == [{"name": "before"}, start]
    assert 0 < card["training_time"]["seconds"] < 3600
    # A resumed run goes on from its own checkpoint and needs the file no more.
    model_file.unlink()
    check = tmp_path / "run" / "checkpoints" / "1" / "check" / "metadata"
    saved = json.loads(check.read_text())
    assert saved["seconds"] > 0
    check.write_text(json.dumps({**saved, "seconds": 7200.0}))
    again = train(config, tmp_path / "run", source=sheet_source(config), resume=True)
    assert again.steps_done == 2
    *_, card = load_model_file(tmp_path / "run" / MODEL_FILE)
    assert card["history"] == [{"name": "start"}]
    # What went before the checkpoint counts.
    assert 7200 < card["training_time"]["seconds"] < 7200 + 3600


def test_the_shipped_model_can_be_named(request):
    from i2uv_jax.config import ExperimentConfig
    from i2uv_jax.config_io import load_config
    from i2uv_jax.hand.asset import load_hand

    config = load_config(request.config.rootpath / "configs" / "small.py", ExperimentConfig)
    config = with_overrides(config, ["train.init_from=small"])
    variables = load_initial_variables(config, load_hand().atlas)
    jax.tree.map(np.testing.assert_array_equal, variables, load_model_file(find_model("small"))[1])


@pytest.mark.parametrize("width", [0.125, 0.25])
def test_a_model_that_tells_no_presence_starts_undecided_about_it(tmp_path, sheet_config, width):
    model = with_overrides(
        sheet_config.model,
        ["affine.coarse_to_fine=true", "affine.decoder_channels=16,8,8"],
    )
    path = tmp_path / "start.safetensors"
    save_model(path, model, random_variables(model), {})
    overrides = ["affine.presence=true", f"affine.width={width}"]
    config = replace(
        sheet_config,
        model=with_overrides(model, overrides),
        train=replace(sheet_config.train, init_from=str(path)),
    )
    variables = load_initial_variables(config, None)
    head = variables["params"]["affine_net"]["hand_stage"].pop("presence")
    assert {name: leaf.shape for name, leaf in head.items()} == {"kernel": (16, 1), "bias": (1,)}
    assert all((leaf == 0).all() for leaf in head.values())
    plain = replace(config, model=with_overrides(model, overrides[1:]))
    jax.tree.map(np.testing.assert_array_equal, variables, load_initial_variables(plain, None))
    # A head that the config does not want is not dropped in silence.
    save_model(path, config.model, random_variables(config.model), {})
    with pytest.raises(
        ValueError, match=r"presence/bias: expected nothing of this name, got shape"
    ):
        load_initial_variables(plain, None)


def test_a_model_that_takes_no_keypoints_starts_deaf_to_them(tmp_path, sheet_config):
    model = with_overrides(
        sheet_config.model,
        ["affine.coarse_to_fine=true", "affine.decoder_channels=16,8,8"],
    )
    path = tmp_path / "start.safetensors"
    save_model(path, model, random_variables(model), {})
    config = replace(
        sheet_config,
        model=with_overrides(model, ["affine.takes_keypoints=true"]),
        train=replace(sheet_config.train, init_from=str(path)),
    )
    variables = load_initial_variables(config, None)
    encoder = variables["params"]["affine_net"]["hand_stage"].pop("keypoint_encoder")
    assert (encoder["features"]["kernel"] == 0).all() and (encoder["features"]["bias"] == 0).all()
    assert encoder["hidden1"]["kernel"].std() > 0
    for name in ("pull_features", "pull_followed"):
        layer = variables["params"]["affine_net"]["stage3"].pop(name)
        assert (layer["kernel"] == 0).all() and (layer["bias"] == 0).all()
    plain = replace(config, model=model)
    jax.tree.map(np.testing.assert_array_equal, variables, load_initial_variables(plain, None))


def test_parts_that_the_config_adds_start_fresh_together(tmp_path, sheet_config):
    model = with_overrides(
        sheet_config.model,
        ["affine.coarse_to_fine=true", "affine.decoder_channels=16,8,8", "affine.presence=true"],
    )
    path = tmp_path / "start.safetensors"
    save_model(path, model, random_variables(model), {})
    overrides = ["affine.takes_keypoints=true", "affine.confidence=true"]
    config = replace(
        sheet_config,
        model=with_overrides(model, overrides),
        train=replace(sheet_config.train, init_from=str(path)),
    )
    net = load_initial_variables(config, None)["params"]["affine_net"]
    head = net["confidence"]["conv"]
    assert (head["kernel"] == 0).all() and head["bias"] == 0
    assert (net["hand_stage"]["keypoint_encoder"]["features"]["kernel"] == 0).all()
    # What the model has is kept.
    kept = random_variables(model)["params"]["affine_net"]["hand_stage"]["presence"]
    np.testing.assert_array_equal(net["hand_stage"]["presence"]["kernel"], kept["kernel"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.affine.width=0.0625", r"does not fit.*batch_stats/.*shape \(8,\), got.*16"),
        ("model.affine.decoder_channels=16,16,8", r"expected nothing of this name, got shape"),
        ("model.affine.decoder_channels=16,16,8,8,8", r"expected shape \(8,\), got nothing of"),
        ("train.init_from=smal", "no model named 'smal': did you mean small"),
        ("train.init_from=none.safetensors", "none.safetensors: no such model file"),
    ],
)
def test_a_model_that_does_not_fit_is_one_line(
    sheet_config, sheet_source, model_file, override, message
):
    config = with_overrides(sheet_config, [f"train.init_from={model_file}"])
    config = with_overrides(config, [override])
    with pytest.raises(ValueError, match=message) as error:
        load_initial_variables(config, sheet_source(sheet_config).atlas)
    assert "\n" not in str(error.value)


def test_weights_of_another_chart_are_refused(sheet_config, sheet_source, model_file):
    _, variables, card = load_model_file(model_file)
    save_model(model_file, sheet_config.model, variables, {**card, "atlas": "other"})
    config = replace(sheet_config, train=replace(sheet_config.train, init_from=str(model_file)))
    with pytest.raises(ValueError, match=r"trained on another UV chart \(other\)"):
        load_initial_variables(config, sheet_source(sheet_config).atlas)
