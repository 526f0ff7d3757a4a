"""Folding changes no result: networks of every kind, with statistics that are far from neutral."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.models.folding import fold_batch_norm, folded_norms
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.weights import variable_shapes
from tests.models.compiling import quick_jit

PUBLISHED = HandNetConfig(
    AffineNetConfig("resnet50", 0.125, (8, 8, 8, 8, 8)), sr=None, image_size=32
)
OURS = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True), sr=None, image_size=32
)


def drawn_variables(config):
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key
        # Maps stay near the picture: sampling far outside would blow rounding errors up.
        names = ("rotation", "place", "log_scale", "bend", "head", "pull", "confidence")
        is_head = any(name in str(path) for name in names)
        if name == "kernel":
            deviation = (0.02 if is_head else 1) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return rng.normal(0, deviation, leaf.shape).astype(np.float32)
        if is_head:
            return np.full(leaf.shape, 0.5, np.float32)
        low, high = {"var": (0.5, 2), "scale": (-1.5, 1.5)}.get(name, (-0.3, 0.3))
        return rng.uniform(low, high, leaf.shape).astype(np.float32)

    return jax.tree.map_with_path(draw, variable_shapes(config))


TOLD = dataclasses.replace(
    OURS, affine=dataclasses.replace(OURS.affine, takes_keypoints=True, confidence=True)
)


@pytest.mark.parametrize(
    "config", [PUBLISHED, OURS, TOLD], ids=["published", "coarse to fine", "all options"]
)
def test_the_function_stays_the_same(config):
    model = build_model(dataclasses.replace(config, cpu_paths="off"))
    variables = drawn_variables(config)
    image = np.random.default_rng(1).uniform(0, 1, (2, 32, 32, 3)).astype(np.float32)
    inputs = [image]
    if config.takes_keypoints:
        inputs.append(np.random.default_rng(2).uniform(0, 1, (2, 21, 3)).astype(np.float32))
    apply = functools.partial(model.apply, train=False)
    plain = quick_jit(apply)(variables, *inputs)
    folded_variables = fold_batch_norm(variables)
    with folded_norms():
        folded = quick_jit(functools.partial(model.apply, train=False))(folded_variables, *inputs)
    for one, other in zip(plain.stage_uv_maps, folded.stage_uv_maps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert np.ptp(one[..., :2]) > 0.02
    if config.tells_confidence:
        np.testing.assert_allclose(plain.log_error, folded.log_error, rtol=1e-4)
        assert np.ptp(plain.log_error) > 0.02
    names = {
        path[-1] for path in flatten_dict(folded_variables["params"]) if "stem" not in path[-2]
    }
    assert names == {"kernel", "bias"}
    # The stem's alone is left, and folding has not touched what it was given.
    assert len(flatten_dict(folded_variables["batch_stats"])) == 2
    assert "scale" in str(jax.tree.structure(variables["params"]))


def test_a_norm_that_follows_nothing_is_named():
    lone = {name: np.ones(3, np.float32) for name in ("scale", "bias")}
    statistics = {name: np.ones(3, np.float32) for name in ("mean", "var")}
    with pytest.raises(ValueError, match="block/norm2: no convolution"):
        fold_batch_norm(
            {"params": {"block": {"norm2": lone}}, "batch_stats": {"block": {"norm2": statistics}}}
        )
