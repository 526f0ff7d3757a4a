"""A widened network answers as the narrow one did, in training and out of it."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.hand_net import HandNet
from i2uv_jax.models.random_weights import random_variables
from i2uv_jax.models.weights import variable_shapes
from i2uv_jax.models.widening import only_wider, widened

COARSE_TO_FINE = HandNetConfig(
    AffineNetConfig("resnet18", 0.25, (16, 8, 8, 8, 8), upsample_last=True, coarse_to_fine=True),
    SRNetConfig((4,), (3, 3), size=16),
    image_size=32,
)
PUBLISHED = HandNetConfig(
    AffineNetConfig("resnet50", 0.125, (8, 8, 8, 8, 8, 8)), sr=None, image_size=32
)


@pytest.mark.parametrize("config", [COARSE_TO_FINE, PUBLISHED], ids=["coarse_to_fine", "published"])
@pytest.mark.parametrize("train", [False, True])
def test_a_wider_network_says_the_same(config, train):
    variables = random_variables(config, 1)
    wide = replace(config, affine=replace(config.affine, width=0.4))
    wide_variables = widened(variables, config.affine, 0.4, np.random.default_rng(0))
    image = jax.random.uniform(jax.random.key(2), (3, 32, 32, 3))

    def answer(config, variables):
        model = HandNet(config)
        if not train:
            return model.apply(variables, image, train=False).uv_map
        return model.apply(variables, image, train=True, mutable=["batch_stats"])[0].uv_map

    np.testing.assert_allclose(
        answer(wide, wide_variables), answer(config, variables), atol=2e-4, rtol=2e-4
    )


def test_shapes_are_those_of_the_wider_config():
    wide = replace(COARSE_TO_FINE, affine=replace(COARSE_TO_FINE.affine, width=1.0))
    variables = random_variables(COARSE_TO_FINE)
    grown = widened(variables, COARSE_TO_FINE.affine, 1.0, np.random.default_rng(0))
    shapes = [
        jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (grown, variable_shapes(wide))
    ]
    assert shapes[0] == shapes[1]


def test_repetitions_are_read_differently():
    """Else their gradients would be equal for ever, and so would they."""
    variables = random_variables(COARSE_TO_FINE)
    grown = widened(variables, COARSE_TO_FINE.affine, 0.5, np.random.default_rng(0))
    encoder = grown["params"]["affine_net"]["encoder"]
    kernel = encoder["stage1_block1"]["conv1"]["kernel"]  # reads the stem's 16 and their copies
    stem = encoder["stem_conv"]["kernel"]
    for copy in range(16, 32):
        (source,) = np.flatnonzero((stem[..., :16] == stem[..., copy : copy + 1]).all((0, 1, 2)))
        assert not np.allclose(kernel[:, :, copy], kernel[:, :, source])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: replace(c, affine=replace(c.affine, width=0.5), looks=2), True),
        (lambda c: c, False),
        (lambda c: replace(c, affine=replace(c.affine, width=0.125)), False),
        (lambda c: replace(c, affine=replace(c.affine, width=0.5), image_size=64), False),
        (lambda c: replace(c, affine=None), False),
    ],
)
def test_what_counts_as_only_wider(change, expected):
    assert only_wider(COARSE_TO_FINE, change(COARSE_TO_FINE)) is expected
