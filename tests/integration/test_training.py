"""The real thing in miniature: the renderer as a source, and the shipped tiny config."""

import argparse

import jax
import numpy as np
import pytest

from i2uv_jax.cli import train as train_verb
from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import load_config, with_overrides
from i2uv_jax.data.streams import source_keys
from i2uv_jax.data.synthetic import SyntheticSource
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.training import program
from i2uv_jax.training.loop import train
from i2uv_jax.training.sharding import batch_sharding, make_mesh

# The renderer and the network compile once for both tests: batch and model are the same.
SHARED_OVERRIDES = ("train.num_devices=1", "train.batch_size=4", "evaluation.num_images=4")


@pytest.fixture(scope="module")
def tiny_config(request):
    path = request.config.rootpath / "configs" / "tiny.py"
    return with_overrides(load_config(path, ExperimentConfig), SHARED_OVERRIDES)


@pytest.fixture(scope="module")
def rendered(tiny_config):
    return SyntheticSource(tiny_config, source_keys(tiny_config), batch_sharding(make_mesh(1)))


@pytest.mark.slow
def test_rendered_batches_depend_on_the_step_alone(rendered):
    first, again, other = (rendered.training_batch(step) for step in (3, 3, 4))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.uv_map, other.uv_map)
    (unseen,) = rendered.evaluation_batches()
    assert not np.array_equal(first.uv_map, unseen.uv_map)


class OneBatch:
    """A source that shows the same rendered hands at every step, in training and evaluation."""

    def __init__(self, source):
        self.atlas, self.keypoint_regressor = source.atlas, source.keypoint_regressor
        self._batch = source.training_batch(0)

    def training_batch(self, step):
        return self._batch

    def evaluation_batches(self):
        yield self._batch

    def state(self, step):
        return {}


@pytest.fixture
def optimised(monkeypatch):
    """Compiles training steps as well as users get them: six hundred steps are worth it."""
    options = {**(program.compiler_options() or {}), "xla_backend_optimization_level": 3}
    monkeypatch.setattr(program, "compiler_options", lambda: options)


@pytest.mark.slow
def test_four_rendered_hands_are_learned_to_under_two_millimetres(tiny_config, tmp_path, optimised):
    """With the finest map at 64 x 64: one of 32 x 32 alone would lose 0.8 mm."""
    overrides = (
        "model.affine.decoder_channels=128,8,32,24,16,16",
        "optim.peak_learning_rate=0.015",
        "optim.adam_share=0.3",
        *(f"train.{name}=600" for name in ("num_steps", "save_every", "picture_every")),
    )
    config = with_overrides(tiny_config, overrides)
    source = SyntheticSource(config, source_keys(config), batch_sharding(make_mesh(1)))
    result = train(config, tmp_path / "run", source=OneBatch(source))
    assert result.scores["aligned_vertex_mm"] < 2
    assert result.scores["vertex_mm"] < 4


@pytest.mark.slow
def test_tiny_config_runs_from_the_command_line_and_resumes(tmp_path, request, capsys):
    parser = argparse.ArgumentParser()
    train_verb.add_parser(parser.add_subparsers())
    config_path = str(request.config.rootpath / "configs" / "tiny.py")
    overrides = [f"--{text}" for text in SHARED_OVERRIDES]
    words = ["train", "--config", config_path, "--out", str(tmp_path / "run"), *overrides]
    steps = ["--train.num_steps=12", "--train.log_every=4"]

    args = parser.parse_args([*words, *steps])
    assert args.run(args) == 0
    said = capsys.readouterr().err
    assert "step 12/12: loss " in said
    assert "images/s" in said
    assert "left" in said

    _, _, card = load_model_file(tmp_path / "run" / "model.safetensors")
    assert card["steps"] == 12
    assert card["evaluation_mm"]["aligned_vertex_mm"] > 0

    # All done: resuming trains no further step and writes the same model again.
    args = parser.parse_args([*words, *steps, "--resume"])
    assert args.run(args) == 0
    assert "steps 12 to 12" in capsys.readouterr().err
