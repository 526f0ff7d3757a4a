"""The real thing in miniature: the renderer as a source, and the shipped tiny config."""

import argparse

import jax
import numpy as np
import pytest

from i2uv_jax.cli import train as train_verb
from i2uv_jax.config import ExperimentConfig
from i2uv_jax.config_io import load_config, with_overrides
from i2uv_jax.data.synthetic import SyntheticSource
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.training.sharding import batch_sharding, make_mesh

# The renderer and the network compile once for both tests: batch and model are the same.
SHARED_OVERRIDES = ("train.num_devices=1", "train.batch_size=4", "evaluation.num_images=4")


@pytest.fixture(scope="module")
def tiny_config(request):
    path = request.config.rootpath / "configs" / "tiny.py"
    return with_overrides(load_config(path, ExperimentConfig), SHARED_OVERRIDES)


@pytest.fixture(scope="module")
def rendered(tiny_config):
    return SyntheticSource(tiny_config, jax.random.key(5), batch_sharding(make_mesh(1)))


def test_rendered_batches_depend_on_the_step_alone(rendered):
    first, again, other = (rendered.training_batch(step) for step in (3, 3, 4))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.array_equal(first.uv_map, other.uv_map)
    (unseen,) = rendered.evaluation_batches()
    assert not np.array_equal(first.uv_map, unseen.uv_map)


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
