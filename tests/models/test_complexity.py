"""The published size, and a part counted by hand."""

import dataclasses

import jax
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.complexity import model_complexity, total_complexity
from i2uv_jax.models.weights import variable_shapes


def test_full_model_has_the_published_size():
    parts = model_complexity(HandNetConfig())
    total = total_complexity(parts)
    # The encoder is the published ResNet-50 less its 2,049,000 of the
    # classifier, 25,557,032 - 2048 * 1000 - 1000; the stages are the decoder.
    assert {part.part: part.parameters for part in parts} == {
        "affine_net/encoder": 23_508_032,
        "affine_net/stage1": 16_531_971,
        "affine_net/stage2": 2_957_571,
        "affine_net/stage3": 741_507,
        "affine_net/stage4": 151_299,
        "affine_net/stage5": 48_003,
        "affine_net/stage6": 7_875,
        "sr_net": 69_251,
    }
    assert total.parameters == 44_015_509
    # The authors' PyTorch code with ResNet-50 at 256 x 256: 43.9 M parameters, 44 GFLOP, 9 of
    # them SRNet's.
    assert total.parameters == pytest.approx(43.9e6, rel=0.01)
    assert total.flops == pytest.approx(44e9, rel=0.01)
    assert parts[-1].part == "sr_net"
    assert parts[-1].flops == pytest.approx(9e9, rel=0.01)


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
