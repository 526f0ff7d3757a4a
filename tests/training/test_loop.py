"""The training loop on a cheap source: it learns, repeats itself, resumes, and stops well."""

import io
import json
import os
import shutil
import signal
import struct
import threading
from functools import partial

import chex
import jax
import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from i2uv_jax.config_io import with_overrides
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.training.bad_steps import DivergedError
from i2uv_jax.training.checkpoint import Checkpoints
from i2uv_jax.training.loop import train
from i2uv_jax.training.model_file import recipe
from i2uv_jax.training.run_folder import load_run_config
from i2uv_jax.training.sharding import make_mesh, replicated
from i2uv_jax.training.state import init_state
from launch import ship_model
from tests.training.two_convolutions import TWO_STAGES, use_two_convolutions


@pytest.fixture(scope="module")
def finished_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def finished(finished_folder, sheet_config, sheet_source):
    """Result of a run of four steps, left in `finished_folder`."""
    return train(sheet_config, finished_folder, source=sheet_source(sheet_config))


def test_another_seed_gives_other_parameters(sheet_config):
    init = jax.jit(init_state, static_argnames="config")
    states = [init(jax.random.key(seed, impl="rbg"), config=sheet_config) for seed in (0, 0, 1)]
    chex.assert_trees_all_equal(states[0], states[1])
    first, other = (jax.tree.leaves(states[index].params)[0] for index in (0, 2))
    assert not np.array_equal(first, other)


class StoppingSource:
    """Hands a source's batches on, and sends this process a signal at one of the steps."""

    def __init__(self, source, signal_step):
        self._source = source
        self._signal_step = signal_step

    def __getattr__(self, name):
        return getattr(self._source, name)

    def training_batch(self, step):
        if step == self._signal_step:
            os.kill(os.getpid(), signal.SIGTERM)
        return self._source.training_batch(step)


def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path, sheet_config, sheet_source, finished
):
    # Stopped where no regular checkpoint is due.
    source = sheet_source(sheet_config)
    half = train(sheet_config, tmp_path, source=StoppingSource(source, signal_step=2))
    assert half.signal_number == signal.SIGTERM
    assert half.steps_done == 3
    assert not (tmp_path / "model.safetensors").exists()
    resumed = train(sheet_config, tmp_path, source=source, resume=True)

    assert resumed.steps_done == finished.steps_done == 4
    chex.assert_trees_all_equal(resumed.state, finished.state)
    assert resumed.scores == finished.scores


def test_finished_run_leaves_config_errors_checkpoints_and_model(
    sheet_config, sheet_source, finished, finished_folder
):
    assert load_run_config(finished_folder) == sheet_config
    assert json.loads((finished_folder / "evaluation.json").read_text()) == finished.scores
    assert sorted(path.name for path in (finished_folder / "checkpoints").iterdir()) == ["2", "4"]

    model_config, variables, metadata = load_model_file(finished_folder / "model.safetensors")
    assert model_config == sheet_config.model
    assert metadata["name"] == "sheet"
    assert metadata["steps"] == 4
    assert metadata["recipe"] == recipe(sheet_config)
    assert metadata["training_time"]["device"] == "cpu"
    assert metadata["training_time"]["cores"] >= 1
    assert metadata["atlas"] == sheet_source(sheet_config).atlas.fingerprint
    # The average is what is evaluated and handed out; it differs from the last step's weights.
    chex.assert_trees_all_close(
        variables["params"], finished.state.average["params"], rtol=1e-3, atol=1e-3
    )
    averaged, last = (
        jax.tree.leaves(tree["params"])[0]
        for tree in (finished.state.average, finished.state.variables)
    )
    assert not np.array_equal(averaged, last)


def tensorboard_entries(folder):
    """(steps by scalar, (step, height, width, PNG) by picture) of the event file in a folder."""
    (path,) = folder.glob("events.*")
    content, offset = path.read_bytes(), 0
    scalars, pictures = {}, {}
    while offset < len(content):
        # A TFRecord: length, its checksum, that many bytes, their checksum.
        (length,) = struct.unpack_from("<Q", content, offset)
        event = Event.FromString(content[offset + 12 : offset + 12 + length])
        offset += 12 + length + 4
        for value in event.summary.value:
            if value.HasField("image"):
                image = value.image
                pictures[value.tag] = (
                    event.step, image.height, image.width, image.encoded_image_string,
                )  # fmt: skip
            else:
                assert np.isfinite(value.simple_value), value.tag
                scalars.setdefault(value.tag, []).append(event.step)
    return scalars, pictures


def test_tensorboard_has_losses_speed_scores_and_pictures(finished, finished_folder):
    scalars, pictures = tensorboard_entries(finished_folder / "tensorboard")
    # Every second step, the last one included; scores at the end.
    for name in ("loss/total", "learning_rate", "gradient_norm"):
        assert scalars[f"train/{name}"] == [2, 4], name
    assert any(tag.startswith("train/loss/stage") for tag in scalars)
    assert scalars["speed/images_per_second"] == [2, 4]
    assert finished.scores
    for name in finished.scores:
        assert scalars[f"evaluation/{name}"] == [4], name
    ((tag, (step, height, width, png)),) = pictures.items()
    assert (tag, step) == ("input_prediction_truth", 4)
    shown = np.asarray(Image.open(io.BytesIO(png)))
    assert shown.shape == (height, width, 3)
    # Five panels of 128 pixels for each of the batch's pictures: input, two maps, two meshes.
    assert (height % 128, width) == (0, 5 * 128)
    assert shown.std() > 10


def test_shipped_model_is_the_run_s_in_half_precision(
    tmp_path, finished, finished_folder, monkeypatch
):
    monkeypatch.setattr(
        "sys.argv", ["ship_model", str(finished_folder), "--weights", str(tmp_path)]
    )
    ship_model.main()
    _, shipped, card = load_model_file(tmp_path / "sheet.safetensors")
    _, variables, original_card = load_model_file(finished_folder / "model.safetensors")
    assert card == original_card
    chex.assert_trees_all_close(shipped, variables, rtol=1e-3, atol=1e-6)


def test_folder_with_checkpoints_is_not_overwritten(
    sheet_config, sheet_source, finished, finished_folder
):
    with pytest.raises(ValueError, match="already holds checkpoints: continue them with --resume"):
        train(sheet_config, finished_folder, source=sheet_source(sheet_config))
    other = with_overrides(sheet_config, ["model.affine.width=0.25"])
    with pytest.raises(ValueError, match=r"cannot be resumed with model.affine.width=0.25"):
        train(other, finished_folder, source=sheet_source(other), resume=True)


def test_a_run_is_not_resumed_on_other_data(
    sheet_config, sheet_source, finished, finished_folder, monkeypatch
):
    monkeypatch.setattr(sheet_source, "_grid", 7)
    before = (finished_folder / "config.json").read_bytes()
    other = with_overrides(sheet_config, ["train.num_steps=9"])
    with pytest.raises(ValueError, match=r"cannot be resumed with other data \(sheet: 7, at the "):
        train(other, finished_folder, source=sheet_source(other), resume=True)
    assert (finished_folder / "config.json").read_bytes() == before


def test_nan_stops_the_run_with_step_and_term(tmp_path, sheet_config, sheet_source, monkeypatch):
    use_two_convolutions(monkeypatch.setattr)
    config = with_overrides(sheet_config, [TWO_STAGES])
    source = sheet_source(config, poison_step=3)
    with pytest.raises(DivergedError, match=r"^step 3: loss/\w+/uv_\w+ is nan"):
        train(config, tmp_path, source=source)
    # The state of that step was not saved: the run can go on from before it.
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["2"]
    saved = np.load(tmp_path / "bad_step_3.npz")
    assert (saved["step"], saved["seed"]) == (3, sheet_config.train.seed)
    np.testing.assert_array_equal(saved["image"], source.training_batch(3).image)
    assert np.isnan(saved["uv_map"]).all()


@pytest.mark.slow
def test_a_poisoned_batch_is_skipped_saved_and_counted(
    tmp_path, sheet_config, sheet_source, capsys
):
    config = with_overrides(sheet_config, ["train.bad_steps=skip", "train.log_every=1"])
    result = train(config, tmp_path, source=sheet_source(config, poison_step=1))
    assert result.steps_done == 4
    chex.assert_tree_all_finite(result.state.variables)
    assert all(np.isfinite(error) for error in result.scores.values())
    assert (tmp_path / "model.safetensors").is_file()
    assert np.isnan(np.load(tmp_path / "bad_step_1.npz")["uv_map"]).all()
    said = capsys.readouterr().err
    assert "update skipped (1 in a row)" in said
    assert "steps whose updates were skipped: 1" in said


@pytest.fixture(scope="module")
def one_step_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("one_step")


@pytest.fixture(scope="module")
def one_step(one_step_folder, sheet_config, sheet_source):
    """Result of a run whose time is over after one step, left in `one_step_folder`."""
    config = with_overrides(sheet_config, ["train.max_minutes=1e-9"])
    results = []

    def run():
        results.append(train(config, one_step_folder, source=sheet_source(config)))

    # In a thread of its own, where Python allows no signal handlers: that must do no harm.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_time_budget_ends_a_run_saved_and_exported(one_step, one_step_folder):
    assert one_step.steps_done == 1
    assert (one_step_folder / "checkpoints" / "1").is_dir()
    assert (one_step_folder / "model.safetensors").is_file()


def test_only_checkpoint_is_named_in_one_line_if_damaged(
    tmp_path, one_step, one_step_folder, sheet_config
):
    folder = tmp_path / "run"
    shutil.copytree(one_step_folder, folder)
    shutil.rmtree(folder / "checkpoints" / "1" / "state")
    abstract_state = jax.eval_shape(partial(init_state, config=sheet_config), jax.random.key(0))
    with (
        Checkpoints(folder) as checkpoints,
        pytest.raises(ValueError, match=r"checkpoints/1: not whole.*none of the 1 checkpoints"),
    ):
        checkpoints.restore(abstract_state, replicated(make_mesh(1)), print)


def test_two_devices_train_as_one(tmp_path, sheet_config, sheet_source, monkeypatch):
    """Shown on two convolutions with a batch norm between them, which compile at once."""
    use_two_convolutions(monkeypatch.setattr)
    states = []
    for count in (1, 2):
        overrides = [TWO_STAGES, "train.max_minutes=1e-9", f"train.num_devices={count}"]
        config = with_overrides(sheet_config, overrides)
        states.append(train(config, tmp_path / str(count), source=sheet_source(config)).state)
    one, two = states
    assert len(jax.tree.leaves(two.params)[0].sharding.device_set) == 2
    # With batch statistics of each device's own half instead of the global batch this fails.
    chex.assert_trees_all_close(two.variables, one.variables, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.num_devices=2", "train.batch_size=3"], "multiple of the 2 devices, got 3"),
        (["train.num_devices=64"], "train.num_devices: expected at most 2, got 64"),
        (["loss.final_terms=uv_l2:1"], "did you mean 'uv_l1'"),
    ],
)
def test_impossible_config_is_refused_before_anything_is_compiled(
    tmp_path, sheet_config, sheet_source, overrides, message
):
    config = with_overrides(sheet_config, overrides)
    with pytest.raises(ValueError, match=message):
        train(config, tmp_path, source=sheet_source(config))
