"""The published size, and a part counted by hand."""

import dataclasses

import jax
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.complexity import model_complexity, total_complexity
from i2uv_jax.models.weights import variable_shapes


def test_full_model_has_the_published_size():
    # The authors' PyTorch code with ResNet-50 at 256 x 256: 43.9 M parameters, 44 GFLOP, 9 of
    # them SRNet's.
    parts = model_complexity(HandNetConfig())
    total = total_complexity(parts)
    assert total.parameters == pytest.approx(43.9e6, rel=0.01)
    assert total.flops == pytest.approx(44e9, rel=0.01)
    sr_net = next(part for part in parts if part.part == "sr_net")
    assert sr_net.flops == pytest.approx(9e9, rel=0.01)
    assert [part.part for part in parts][:2] == ["affine_net/encoder", "affine_net/stage1"]


def test_srnet_counted_by_hand():
    config = HandNetConfig(
        AffineNetConfig("resnet18", 0.125, (8, 8)), SRNetConfig((4,), (5, 3), size=16), 64
    )
    sr_net = model_complexity(config)[-1]
    # 5 x 5 x 3 x 4 + 4 biases, 3 x 3 x 4 x 3 + 3 biases; two operations per weight and texel.
    assert sr_net.parameters == (300 + 4) + (108 + 3)
    assert sr_net.flops == 2 * (300 + 108) * 16 * 16


def test_parts_hold_all_parameters():
    config = HandNetConfig(AffineNetConfig("resnet18", 0.125, (8, 8, 8), coarse_to_fine=True), None)
    config = dataclasses.replace(config, image_size=64)
    variables = variable_shapes(config)
    counted = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    parts = {part.part: part for part in model_complexity(config)}
    assert sum(part.parameters for part in parts.values()) == counted
    # 2 x 2 x 64 features to 8 hidden ones, and those to 16 x 16 texels of 8 features, to 6 + 3 + 1
    # numbers of a similarity and to 16 x 16 x 3 coordinates.
    stage = parts["affine_net/hand_stage"]
    assert stage.flops == 2 * (256 * 8 + 8 * (16 * 16 * 8 + 10 + 16 * 16 * 3))


def test_cpu_paths_do_not_change_the_count():
    affine = AffineNetConfig("resnet50", 0.125, (8, 8))
    on, off = (
        model_complexity(HandNetConfig(affine, None, 64, cpu_paths=mode)) for mode in ("on", "off")
    )
    assert on == off
