"""PyTorch's own operations give the same maps: the two implementations check each other."""

import dataclasses

import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.program import make_network
from i2uv_jax.models.folding import fold_batch_norm
from i2uv_jax.models.random_weights import random_variables
from tests.models.compiling import quick_jit

pytest.importorskip("torch", reason="needs the extra `bench`")

CONFIG = HandNetConfig(
    AffineNetConfig("resnet50", 0.125, (16, 16, 8, 8, 8, 8)),
    SRNetConfig((8, 4), (5, 3, 3), size=64),
    image_size=64,
)


@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_same_maps_as_ours(mode):
    from i2uv_jax.inference.torch_network import torch_network

    variables = random_variables(CONFIG)
    crops = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    ours = quick_jit(make_network(CONFIG, load_hand()))(fold_batch_norm(variables), crops).uv_map
    theirs = torch_network(CONFIG, variables, mode)(crops)
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_structures_of_our_own_are_refused():
    from i2uv_jax.inference.torch_network import TorchHandNet

    with pytest.raises(ValueError, match="published structure"):
        TorchHandNet(dataclasses.replace(CONFIG, looks=2), {})
