"""Model files: equality after a round trip, and one clear line for every broken file."""

import dataclasses
import functools
import json
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.weights import FORMAT, load_model_file, save_model
from tests.models.compiling import INIT_KEY, quick_jit

CONFIG = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (8, 4, 8), coarse_to_fine=True),
    SRNetConfig((4,), (3, 3), size=16),
    image_size=32,
)
CARD = {"name": "tiny", "evaluation_mm": {"vertex_mm": 12.5}}


@pytest.fixture(scope="module")
def variables():
    image = jnp.zeros((1, 32, 32, 3))
    return quick_jit(lambda: build_model(CONFIG).init(INIT_KEY, image, train=False))()


@pytest.fixture
def model_file(tmp_path, variables):
    save_model(tmp_path / "tiny.safetensors", CONFIG, variables, CARD)
    return tmp_path / "tiny.safetensors"


def test_round_trip_is_exact(model_file, variables):
    config, loaded, card = load_model_file(model_file)
    assert config == CONFIG
    assert card == CARD
    chex.assert_trees_all_equal(loaded, variables)


def test_arrays_keep_their_values_whatever_their_strides(tmp_path, variables):
    lying_otherwise = jax.tree.map(lambda leaf: np.asarray(leaf).T.copy().T, variables)
    save_model(tmp_path / "strides.safetensors", CONFIG, lying_otherwise, CARD)
    _, loaded, _ = load_model_file(tmp_path / "strides.safetensors")
    chex.assert_trees_all_equal(loaded, variables)


def test_float16_halves_the_file_and_predicts_nearly_the_same(tmp_path, model_file, variables):
    path = tmp_path / "half.safetensors"
    save_model(path, CONFIG, variables, CARD, storage_dtype="float16")
    assert path.stat().st_size < 0.6 * model_file.stat().st_size
    _, loaded, _ = load_model_file(path)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype("float32")}
    image = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3))
    predict = quick_jit(functools.partial(build_model(CONFIG).apply, train=False))
    exact, rounded = (predict(v, image).uv_map for v in (variables, loaded))
    # Halves keep 11 bits: each weight is off by 5e-4 of itself, the map of an untrained network by
    # a few times that.
    np.testing.assert_allclose(rounded, exact, atol=5e-3)


def test_a_failed_save_leaves_the_old_file(model_file, variables):
    before = model_file.read_bytes()
    broken = jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan), variables)
    with pytest.raises(ValueError, match="expected finite"):
        save_model(model_file, CONFIG, broken, CARD)
    assert model_file.read_bytes() == before
    assert list(model_file.parent.iterdir()) == [model_file]


def test_float16_overflow_is_refused_by_name(tmp_path, variables):
    large = jax.tree.map(lambda leaf: leaf, variables)
    large["params"]["sr_net"]["conv1"]["kernel"] += 1e6
    with pytest.raises(ValueError, match="sr_net/conv1/kernel"):
        save_model(tmp_path / "x", CONFIG, large, CARD, storage_dtype="float16")


def test_variables_of_another_model_are_refused(tmp_path, variables):
    other = dataclasses.replace(CONFIG, sr=None)
    with pytest.raises(ValueError, match="unknown: params/sr_net"):
        save_model(tmp_path / "x", other, variables, CARD)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path):
    path.write_bytes(b"")


def pickled(path):
    path.write_bytes(pickle.dumps({"params": 1}))


def foreign(path):
    save_file({"weight": np.zeros(3, np.float32)}, path)


def with_header(path, **changes):
    header = {"format": FORMAT, "config": "{}", "card": "{}"} | changes
    save_file(load_file(path), path, header)


def with_wrong_shape(path):
    config, _, card = load_model_file(path)
    tensors = load_file(path)
    tensors["params/sr_net/conv1/bias"] = np.zeros(5, np.float32)
    header = {"format": FORMAT, "card": json.dumps(card)}
    header["config"] = json.dumps(dataclasses.asdict(config))
    save_file(tensors, path, header)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "truncated, or not a .safetensors file"),
        (emptied, "truncated, or not a .safetensors file"),
        (pickled, "truncated, or not a .safetensors file"),
        (foreign, "not a model of this package"),
        (lambda path: with_header(path, format="i2uv_jax model 9"), "model 9"),
        (lambda path: with_header(path, config="{"), "broken header"),
        (lambda path: with_header(path, config='{"image_size": "x"}'), "image_size"),
        (lambda path: with_header(path, config='{"colour": 1}'), "unknown config key colour"),
        (with_header, "does not fit its config"),  # the default config: another model
        (with_wrong_shape, r"sr_net/conv1/bias: expected shape \(4,\), got \(5,\)"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a directory"),
    ],
)
def test_broken_files_give_one_line_that_names_file_and_cause(model_file, damage, message):
    damage(model_file)
    with pytest.raises(ValueError, match=message) as raised:
        load_model_file(model_file)
    text = str(raised.value)
    assert str(model_file) in text
    assert "\n" not in text
