"""The published size, and a part counted by hand."""

import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.complexity import model_complexity, total_complexity


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


def test_cpu_paths_do_not_change_the_count():
    affine = AffineNetConfig("resnet50", 0.125, (8, 8))
    on, off = (
        model_complexity(HandNetConfig(affine, None, 64, cpu_paths=mode)) for mode in ("on", "off")
    )
    assert on == off
