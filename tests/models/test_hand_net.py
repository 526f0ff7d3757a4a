"""The networks: shapes and names, the affine connection, precision, CPU paths, early numerics."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.resnet import ResNet
from i2uv_jax.models.uv_decoder import (
    UvDecoderStage,
    affine_connection,
    neutral_uv,
)
from i2uv_jax.ops.resize import resize_corner_aligned
from tests.models.compiling import INIT_KEY, quick_jit

TINY = HandNetConfig(
    affine=AffineNetConfig("resnet18", width=0.125, decoder_channels=(12, 10, 8, 8, 8, 4)),
    sr=SRNetConfig(channels=(6, 4), kernels=(5, 3, 3), residual=True, size=64),
    image_size=64,
    cpu_paths="off",
)


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(1), (2, 64, 64, 3))


@pytest.fixture(scope="module")
def variables(image):
    return quick_jit(lambda key: build_model(TINY).init(key, image, train=False))(INIT_KEY)


@pytest.fixture(scope="module")
def output(image, variables):
    return quick_jit(functools.partial(build_model(TINY).apply, train=False))(variables, image)


def training_loss(config, variables, image):
    """A smooth function of every map, and the maps; with batch statistics."""
    output, _ = build_model(config).apply(variables, image, train=True, mutable=["batch_stats"])
    maps = (*output.stage_uv_maps, output.uv_map)
    return sum(jnp.mean(jnp.sin(7 * uv_map)) for uv_map in maps), maps


@pytest.fixture(scope="module")
def training_gradients(image, variables):
    """((loss, maps), gradient) by "off" and "on" of the CPU paths, SRNet's gradient flowing on."""
    sr = dataclasses.replace(TINY.sr, stop_gradient=False)
    value_and_grad = quick_jit(
        jax.value_and_grad(training_loss, argnums=1, has_aux=True), static_argnums=0
    )
    return {
        mode: value_and_grad(dataclasses.replace(TINY, sr=sr, cpu_paths=mode), variables, image)
        for mode in ("off", "on")
    }


def test_affine_connection_on_a_hand_computed_case():
    # A 3 x 3 feature map whose value is 10 row + column. A UV map of 2 x 2 texels that are seen at
    # the picture's top left, its right edge's middle, its centre, and halfway between the
    # centre and the bottom right: (column, row) = (0, 0), (2, 1), (1, 1), (1.5, 1.5).
    features = jnp.array([[0.0, 1, 2], [10, 11, 12], [20, 21, 22]]).reshape(1, 3, 3, 1)
    z = 123.0  # the projection is orthographic
    uv_map = jnp.array([[[0, 0, z], [1, 0.5, z]], [[0.5, 0.5, -z], [0.75, 0.75, z]]])[None]
    moved = affine_connection(features, uv_map)
    np.testing.assert_allclose(moved[0, :, :, 0], [[0, 12], [11, 16.5]], atol=1e-5)


def test_identity_uv_map_leaves_features_where_they_are():
    features = jax.random.normal(jax.random.key(0), (1, 8, 8, 5))
    axis = jnp.linspace(0, 1, 8)
    uv_map = jnp.stack([*jnp.meshgrid(axis, axis), jnp.zeros((8, 8))], axis=-1)[None]
    np.testing.assert_allclose(affine_connection(features, uv_map), features, atol=1e-5)


def test_a_texel_sees_the_features_of_its_own_point_alone():
    features = jnp.zeros((1, 16, 16, 1)).at[0, 4, 9].set(1.0)
    uv_map = jnp.full((1, 4, 4, 3), 0.2).at[0, 1, 2].set(jnp.array([9 / 15, 4 / 15, 0.0]))
    moved = affine_connection(features, uv_map)[0, :, :, 0]
    assert moved[1, 2] == pytest.approx(1, abs=1e-5)
    assert jnp.sum(moved) == pytest.approx(1, abs=1e-5)


def test_output_sizes(output):
    assert tuple(uv_map.shape[1] for uv_map in output.stage_uv_maps) == TINY.stage_sizes
    assert TINY.stage_sizes == (4, 8, 16, 16, 32, 64)
    assert output.uv_map.shape == (2, TINY.uv_map_size, TINY.uv_map_size, 3)


def test_fewer_stages_and_no_srnet_give_smaller_maps(image):
    affine = dataclasses.replace(TINY.affine, decoder_channels=(12, 10, 8, 8))
    config = dataclasses.replace(TINY, affine=affine, sr=None)
    shapes = jax.eval_shape(
        lambda x: build_model(config).init_with_output(jax.random.key(0), x, train=False)[0], image
    )
    assert shapes.uv_map.shape == (2, 16, 16, 3)
    assert config.uv_map_size == 16


def test_first_maps_in_training_lie_inside_the_picture(training_gradients):
    (_, maps), _ = training_gradients["off"]
    for uv_map in maps:
        assert float(jnp.abs(uv_map - neutral_uv(None, (3,))).max()) < 0.4


def test_parameters_are_float32_and_named_by_layer(variables):
    names = flatten_dict(variables["params"], sep="/")
    assert {leaf.dtype for leaf in names.values()} == {jnp.dtype("float32")}
    for name in (
        "affine_net/encoder/stem_conv/kernel",
        "affine_net/encoder/stage2_block1/downsample_norm/scale",
        "affine_net/stage1/up/conv/bias",
        "affine_net/stage6/merge/norm/scale",
        "affine_net/stage6/head/conv/kernel",
        "sr_net/conv3/kernel",
    ):
        assert name in names
    assert "affine_net/encoder/stem_conv/bias" not in names


def test_stages_join_the_published_inputs(variables):
    # Channels into each merge: own features + skip + (from stage 4 on) the UV map. Encoder widths
    # at 1/8: stem and pooled 8, stride 4 / 8 / 16: 8, 16, 32.
    expected = {1: 12 + 32, 2: 10 + 16, 3: 8 + 8, 4: 8 + 8 + 3, 5: 8 + 8 + 3, 6: 4 + 3}
    for stage, channels in expected.items():
        kernel = variables["params"]["affine_net"][f"stage{stage}"]["merge"]["conv"]["kernel"]
        assert kernel.shape[2] == channels


def test_jit_changes_nothing():
    stage = UvDecoderStage(channels=4, size=8, move_features=True, concat_uv_map=True)
    features, skip, uv_map = (
        jax.random.uniform(jax.random.key(i), (1, 4, 4, channels))
        for i, channels in enumerate((5, 6, 3))
    )
    (x, plain), variables = stage.init_with_output(INIT_KEY, features, skip, uv_map, train=False)
    apply = jax.jit(functools.partial(stage.apply, train=False))
    _, jitted = apply(variables, features, skip, uv_map)
    np.testing.assert_allclose(jitted, plain, atol=1e-5)
    assert x.shape == (1, 8, 8, 4)


def test_cpu_paths_change_neither_result_nor_gradient(training_gradients):
    (plain, _), plain_gradient = training_gradients["off"]
    (fast, _), fast_gradient = training_gradients["on"]
    assert float(fast) == pytest.approx(float(plain), abs=1e-4)
    plain_leaves = jax.tree.leaves(plain_gradient["params"])
    for a, b in zip(jax.tree.leaves(fast_gradient["params"]), plain_leaves, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3 * max(1.0, np.abs(b).max()))


def test_every_parameter_gets_a_finite_gradient(training_gradients):
    gradient = training_gradients["off"][1]["params"]
    for name, leaf in flatten_dict(gradient, sep="/").items():
        assert np.isfinite(leaf).all(), name
        # SRNet's first layers wait until the last one, which starts at zero, has moved.
        if not name.startswith(("sr_net/conv1", "sr_net/conv2")):
            assert np.abs(leaf).max() > 0, name


def test_residual_srnet_starts_as_the_identity(output):
    np.testing.assert_array_equal(output.uv_map, output.stage_uv_maps[-1])


def test_srnets_loss_does_not_reach_affine_net(image, variables):
    model = build_model(TINY)

    @quick_jit
    def gradient(variables):
        return jax.grad(lambda v: jnp.sum(model.apply(v, image, train=False).uv_map))(variables)

    params = gradient(variables)["params"]
    assert all(np.abs(leaf).max() == 0 for leaf in jax.tree.leaves(params["affine_net"]))
    assert float(jnp.abs(params["sr_net"]["conv3"]["bias"]).max()) > 0


def test_bfloat16_stays_close_and_hands_out_float32(image, variables, output):
    model = build_model(dataclasses.replace(TINY, dtype="bfloat16"))
    rounded = quick_jit(functools.partial(model.apply, train=False))(variables, image)
    for a, b in zip(output.stage_uv_maps, rounded.stage_uv_maps, strict=True):
        assert b.dtype == jnp.float32
        np.testing.assert_allclose(a, b, atol=0.03)
    assert rounded.uv_map.dtype == jnp.float32


def test_coarse_to_fine_heads_correct_the_map_before_them(image):
    affine = dataclasses.replace(TINY.affine, coarse_to_fine=True)
    config = dataclasses.replace(TINY, affine=affine)
    model = build_model(config)
    variables = quick_jit(lambda key: model.init(key, image, train=False))(INIT_KEY)
    stages = variables["params"]["affine_net"]
    # The heads silenced, all maps are the first one, resized.
    for stage in range(3, 7):
        head = stages[f"stage{stage}"]["head"]
        stages[f"stage{stage}"]["head"] = jax.tree.map(jnp.zeros_like, head)
    apply = quick_jit(functools.partial(model.apply, train=False))
    maps = apply(variables, image).stage_uv_maps
    assert tuple(uv_map.shape[1] for uv_map in maps) == config.stage_sizes == (16, 16, 16, 32, 64)
    assert maps[0].std() > 1e-3
    for coarse, fine in itertools.pairwise(maps):
        expected = resize_corner_aligned(coarse, fine.shape[1:3])
        np.testing.assert_allclose(fine, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", (64, 64, 64, 128, 256, 512)),
                           ("resnet34", (64, 64, 64, 128, 256, 512)),
                           ("resnet50", (64, 64, 256, 512, 1024, 2048))]
)  # fmt: skip
def test_encoder_features_by_name(name, channels):
    features = jax.eval_shape(
        lambda x: ResNet(name).init_with_output(jax.random.key(0), x, train=False)[0],
        jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32),
    )
    assert tuple(f.shape[-1] for f in features) == channels
    assert tuple(64 // f.shape[1] for f in features) == (2, 4, 4, 8, 16, 32)


def test_stem_features_come_before_the_normalisation(image, variables):
    encode = quick_jit(functools.partial(ResNet("resnet18", width=0.125).apply, train=False))
    encoder = {kind: leaves["affine_net"]["encoder"] for kind, leaves in variables.items()}
    features = encode(encoder, image)
    assert float(features.stem.min()) < 0  # no ReLU yet
    norm = {"bias": encoder["params"]["stem_norm"]["bias"], "scale": jnp.full(8, 2.0)}
    again = encode(encoder | {"params": encoder["params"] | {"stem_norm": norm}}, image)
    np.testing.assert_array_equal(again.stem, features.stem)
    np.testing.assert_allclose(again.pooled, 2 * features.pooled, rtol=1e-5)


def test_wrong_picture_size_is_named(image, variables):
    with pytest.raises(ValueError, match=r"image: expected shape \(b, 64, 64, 3\)"):
        build_model(TINY).apply(variables, image[:, :32], train=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AffineNetConfig(encoder="resnet99"), "encoder: expected one of"),
        (lambda: AffineNetConfig(width=0), "width"),
        (lambda: AffineNetConfig(decoder_channels=(8,) * 7), "decoder_channels"),
        (lambda: AffineNetConfig(decoder_channels=(8, 8), coarse_to_fine=True), "at least 3"),
        (lambda: SRNetConfig(kernels=(9, 5)), "kernels: expected 3 values"),
        (lambda: HandNetConfig(image_size=100), "multiple of 32, got 100"),
        (lambda: HandNetConfig(dtype="float64"), "dtype"),
        (lambda: HandNetConfig(cpu_paths="maybe"), "cpu_paths"),
    ],
)
def test_impossible_configs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
