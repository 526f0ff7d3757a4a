"""Losses on cases small enough to compute by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax import losses
from i2uv_jax.config import LossConfig
from i2uv_jax.losses import LossInputs, MaskedValues, mask_sizes, masked_mean, total_loss
from i2uv_jax.models.hand_net import HandNetOutput

# A 2 x 2 map of one picture; the truth is zero, so errors are the prediction itself.
MAP = jnp.array([[[1.0, 0, 0], [3, 0, 0]], [[0, 6, 0], [0, 0, 9]]])[None]
MASK = jnp.array([[True, True], [True, False]])


def inputs(mask=MASK, **more):
    return LossInputs(uv_map=MAP, true_uv_map=jnp.zeros_like(MAP), texel_mask=mask, **more)


def test_uv_l1_counts_masked_texels_only():
    # (1 + 3 + 6) over 3 texels of 3 channels
    assert masked_mean(losses.uv_l1(inputs())) == pytest.approx(10 / 9)


def test_uv_aligned_forgives_turn_size_and_place_and_nothing_else():
    true = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    turn = jnp.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    mask = jnp.ones((4, 4), bool).at[0, 0].set(False)
    moved = 0.5 * jnp.einsum("ij,buvj->buvi", turn, true, precision="highest") + 3.0
    # Nothing outside the chart counts, neither as an error nor in the alignment.
    moved = moved.at[:, 0, 0].set(100.0)

    def loss(uv_map):
        return masked_mean(
            losses.uv_aligned(LossInputs(uv_map=uv_map, true_uv_map=true, texel_mask=mask))
        )

    assert loss(moved) == pytest.approx(0, abs=1e-5)
    assert loss(moved.at[:, 1, 1].add(1.0)) > 0.01
    assert loss(true * jnp.array([1.0, 1, -1])) > 0.1  # mirrored
    gradient = jax.grad(loss)(moved.at[:, 1, 1].add(1.0))
    assert jnp.isfinite(gradient).all()
    assert jnp.all(gradient[:, 0, 0] == 0)


def test_uv_mask_counts_the_other_texels():
    assert masked_mean(losses.uv_mask(inputs())) == pytest.approx(9 / 3)


def test_uv_gradient_needs_both_texels_inside():
    # Inside are the upper pair along U, |3 - 1| = 2, and the left pair along V, |0 - 1| + |6 - 0|
    # = 7; two pairs of three channels.
    assert masked_mean(losses.uv_gradient(inputs())) == pytest.approx((2 + 7) / 6)


def test_uv_gradient_of_a_constant_error_is_zero():
    shifted = inputs(jnp.ones((2, 2), bool)).replace(uv_map=jnp.full((1, 2, 2, 3), 0.25))
    assert masked_mean(losses.uv_gradient(shifted)) == 0


def test_empty_mask_gives_zero_and_finite_gradients():
    terms = (losses.uv_l1, losses.uv_aligned, losses.uv_gradient)

    def loss(uv_map):
        empty = inputs(jnp.zeros((2, 2), bool)).replace(uv_map=uv_map)
        return sum(masked_mean(term(empty)) for term in terms)

    value, gradient = jax.value_and_grad(loss)(MAP)
    assert value == 0
    assert jnp.isfinite(gradient).all()


def test_mesh_terms():
    given = inputs(
        vertices=jnp.array([[[1.0, 2, 3]]]),
        true_vertices=jnp.zeros((1, 1, 3)),
        keypoints=jnp.array([[[1.0, 2, 3]]]),
        true_keypoints=jnp.ones((1, 1, 3)),
    )
    assert masked_mean(losses.vertices(given)) == pytest.approx(2)  # (1 + 2 + 3) / 3
    assert masked_mean(losses.keypoints(given)) == pytest.approx(1)  # (0 + 1 + 2) / 3
    assert masked_mean(losses.keypoints_2d(given)) == pytest.approx(0.5)  # (0 + 1) / 2


def network_output():
    """Maps of 2, 2 and 4 texels a side that are wrong by 1, 2 and 3 everywhere, and the final one
    by 4."""
    return HandNetOutput(
        stage_uv_maps=tuple(
            jnp.full((2, size, size, 3), error) for size, error in ((2, 1.0), (2, 2.0), (4, 3.0))
        ),
        uv_map=jnp.full((2, 4, 4, 3), 4.0),
    )


MASKS = {2: jnp.ones((2, 2), bool), 4: jnp.ones((4, 4), bool)}
ZERO_MAP = jnp.zeros((2, 8, 8, 3))


def test_total_is_the_weighted_sum_finest_stage_first():
    config = LossConfig(
        stage_terms=(("uv_l1", 10.0),), stage_weights=(1.0, 0.5), final_terms=(("uv_l1", 2.0),)
    )
    total, scalars = total_loss(config, network_output(), ZERO_MAP, MASKS)
    assert total == pytest.approx(10 * (1.0 * 3 + 0.5 * 2) + 2 * 4)
    assert set(scalars) == {"stage3/uv_l1", "stage2/uv_l1", "final/uv_l1", "total"}
    assert scalars["stage2/uv_l1"] == pytest.approx(2)
    assert scalars["final/uv_l1"] == pytest.approx(4)


def test_published_stages_are_the_four_finest():
    assert mask_sizes(LossConfig(), (16, 32, 64, 64, 128, 256), 256) == {64, 128, 256}


def test_targets_are_sampled_corner_aligned():
    # x rises from 0 to 7 over 8 texels: its corner-aligned samples on 2 texels are 0 and 7.
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (1, 8, 8, 3))
    exact = jnp.broadcast_to(jnp.array([0.0, 7.0])[None, None, :, None], (1, 2, 2, 3))
    config = LossConfig((("uv_l1", 1.0),), (1.0,), final_terms=())
    total, _ = total_loss(config, HandNetOutput((exact,), exact), ramp, MASKS)
    assert total == pytest.approx(0, abs=1e-6)


def test_confidence_loss_by_hand():
    # Distances 3, 4 and, of (0, 3, 4), 5; what lies outside the chart counts nothing. Expected are
    # 1, 4 and 10: (3 / 1 + ln 1 + 4 / 4 + ln 4 + 5 / 10 + ln 10) / 3.
    uv_map = jnp.array([[[3.0, 0, 0], [0, 4, 0]], [[0, 3, 4], [9, 9, 9]]])[None]
    log_error = jnp.log(jnp.array([[[1.0, 4], [10, 100]]]))
    loss = losses.confidence_loss(log_error, uv_map, jnp.zeros_like(uv_map), MASK)
    assert loss == pytest.approx((4.5 + np.log(40)) / 3)


def test_confidence_loss_is_least_where_the_distance_is_the_expected_one():
    uv_map = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    truth, mask = jnp.zeros_like(uv_map), jnp.ones((4, 4), bool)
    right = jnp.log(jnp.linalg.norm(uv_map, axis=-1))
    value_and_grad = jax.value_and_grad(losses.confidence_loss)
    least, gradient = value_and_grad(right, uv_map, truth, mask)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    for wrong in (right + 0.1, right - 0.1):
        assert value_and_grad(wrong, uv_map, truth, mask)[0] > least + 1e-3
    # A texel that is where it belongs has a gradient, too.
    assert jnp.isfinite(value_and_grad(right, truth, truth, mask)[1]).all()


def test_confidence_is_of_affine_net_s_finest_map_and_leaves_the_maps_their_gradient():
    output = network_output().replace(log_error=jnp.zeros((2, 4, 4)))
    config = LossConfig(stage_terms=(), final_terms=(), confidence_weight=0.5)
    assert mask_sizes(config, (2, 2, 4), 8) == {2, 4}
    gradient, scalars = jax.grad(
        lambda output: total_loss(config, output, ZERO_MAP, MASKS), has_aux=True
    )(output)
    # Wrong by 3 along each axis; a distance of 1 is expected, whose logarithm is 0.
    assert scalars["confidence"] == pytest.approx(3 * np.sqrt(3))
    assert scalars["total"] == pytest.approx(1.5 * np.sqrt(3))
    for uv_map in (*gradient.stage_uv_maps, gradient.uv_map):
        np.testing.assert_array_equal(uv_map, 0)
    np.testing.assert_allclose(gradient.log_error, 0.5 * (1 - 3 * np.sqrt(3)) / 32, rtol=1e-5)


def squared(inputs: LossInputs) -> MaskedValues:
    return MaskedValues((inputs.uv_map - inputs.true_uv_map) ** 2, jnp.ones(()))


@pytest.mark.parametrize("term", [squared, f"{__name__}:squared"])
def test_a_users_own_loss_is_one_function(term):
    config = LossConfig(stage_terms=(), final_terms=((term, 0.5),))
    total, scalars = total_loss(config, network_output(), ZERO_MAP, MASKS)
    assert total == pytest.approx(0.5 * 16)
    assert scalars["final/squared"] == pytest.approx(16)


def test_mesh_losses_sample_both_maps():
    config = LossConfig(stage_terms=(), final_terms=(("vertices", 1.0), ("keypoints", 1.0)))
    regressor = jnp.full((21, 16), 1 / 16)
    total, scalars = total_loss(
        config,
        network_output(),
        ZERO_MAP,
        MASKS,
        vertices_from_uv_map=lambda uv_map: uv_map.reshape(uv_map.shape[0], -1, 3)[:, :16],
        keypoint_regressor=regressor,
    )
    assert scalars["final/vertices"] == pytest.approx(4)
    assert scalars["final/keypoints"] == pytest.approx(4, rel=1e-5)
    assert total == pytest.approx(8, rel=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LossConfig((("uv_l2", 1.0),)), "did you mean 'uv_l1'"),
        (LossConfig((("no_such_module:term", 1.0),)), "importable"),
        (LossConfig((("vertices", 1.0),)), "vertices_from_uv_map"),
    ],
)
def test_what_is_missing_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        total_loss(config, network_output(), ZERO_MAP, MASKS)


def test_missing_mask_is_named():
    with pytest.raises(ValueError, match="mask of size 4, got"):
        total_loss(LossConfig(), network_output(), ZERO_MAP, {2: MASKS[2]})


def test_wrong_terms_are_refused():
    with pytest.raises(ValueError, match="stage_terms: expected pairs"):
        LossConfig(stage_terms=(("uv_l1", -1.0),))


def test_loss_does_not_depend_on_how_the_batch_is_sharded():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    uv_map = jax.random.normal(jax.random.key(0), (4, 4, 4, 3))
    mask = jnp.zeros((4, 4), bool).at[1:3, 1:].set(True)
    config = LossConfig(
        (("uv_l1", 1.0), ("uv_gradient", 1.0)), (1.0,), final_terms=(), confidence_weight=1.0
    )

    @jax.jit
    def loss(uv_map):
        output = HandNetOutput((uv_map,), uv_map, log_error=uv_map[..., 0])
        return total_loss(config, output, uv_map * 0, {4: mask})[0]

    assert loss(jax.device_put(uv_map, sharding)) == pytest.approx(float(loss(uv_map)), rel=1e-5)
