"""PyTorch's own operations give the same maps: the two implementations check each other."""

import dataclasses

import jax
import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.program import make_network
from i2uv_jax.models.folding import fold_batch_norm
from i2uv_jax.models.random_weights import random_variables
from tests.models.compiling import quick_jit

pytest.importorskip("torch", reason="needs the extra `bench`")

PUBLISHED = HandNetConfig(
    AffineNetConfig("resnet50", 0.125, (16, 16, 8, 8, 8, 8)),
    SRNetConfig((8, 4), (5, 3, 3), residual=True, size=64),
    image_size=64,
)
COARSE_TO_FINE = HandNetConfig(
    AffineNetConfig(
        "resnet18",
        0.125,
        (16, 4, 8, 8),
        coarse_to_fine=True,
        upsample_last=True,
        presence=True,
        takes_keypoints=True,
    ),
    SRNetConfig((4,), (3, 3), residual=True, size=32),
    image_size=64,
    skinned=16,
)


@pytest.fixture
def crops():
    return np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def variables_of(config):
    """Random ones whose maps lie in the picture, so that features are sampled in its midst."""
    coordinates = {"place", "log_scale", "bend"}
    if config.affine.coarse_to_fine:  # maps are sums of what all heads say
        coordinates.add("head")

    def tame(path, leaf):
        is_kernel = path[-1].key == "kernel"
        return leaf / 30 if is_kernel and coordinates & {part.key for part in path} else leaf

    return jax.tree.map_with_path(tame, random_variables(config))


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("config", [PUBLISHED, COARSE_TO_FINE], ids=["published", "coarse_to_fine"])
def test_same_maps_as_ours(config, mode, crops):
    from i2uv_jax.inference.torch_network import torch_network

    variables = variables_of(config)
    ours = quick_jit(make_network(config, load_hand()))(fold_batch_norm(variables), crops).uv_map
    theirs = torch_network(config, variables, mode)(crops)
    assert 0.1 < np.ptp(ours) < 3
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_bfloat16_is_near(crops):
    from i2uv_jax.inference.torch_network import torch_network

    variables = variables_of(COARSE_TO_FINE)
    exact, rounded = (
        torch_network(COARSE_TO_FINE, variables, "channels_last", precision)(crops)
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).max() < 0.05


def test_what_it_does_not_know_is_refused():
    from i2uv_jax.inference.torch_network import torch_network

    for config in (
        dataclasses.replace(PUBLISHED, looks=2),
        dataclasses.replace(PUBLISHED, affine=None, sr=SRNetConfig(size=64)),
        dataclasses.replace(PUBLISHED, sr=SRNetConfig(residual=True, detail_gain=10.0)),
    ):
        with pytest.raises(ValueError, match="--vs torch: "):
            torch_network(config, {}, "eager")
