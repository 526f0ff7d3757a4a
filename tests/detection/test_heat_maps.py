"""Targets, loss and peaks of heat maps: what one writes the other reads."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import DetectorConfig
from i2uv_jax.detection.loss import detection_loss, detection_targets
from i2uv_jax.detection.peaks import find_peaks
from i2uv_jax.models.complexity import _products
from i2uv_jax.models.detector import LEFT, RIGHT, Detector, DetectorOutput
from i2uv_jax.types import SceneBatch

GRID = 24


def scene(centres, sides, is_left, shown=None, doubtful=None) -> SceneBatch:
    count = len(sides)
    return SceneBatch(
        image=jnp.zeros((1, 192, 192, 3)),
        centre=jnp.array(centres, jnp.float32)[None],
        side=jnp.array(sides, jnp.float32)[None],
        is_left=jnp.array(is_left)[None],
        is_shown=jnp.array(shown or [True] * count)[None],
        is_doubtful=jnp.array(doubtful or [False] * count)[None],
        keypoints_2d=jnp.zeros((1, count, 21, 2)),
    )


def answer(heat, offset=None, log_side=None) -> DetectorOutput:
    heat = np.clip(heat, 1e-4, 1 - 1e-4)
    zeros = np.zeros((1, GRID, GRID, 2), np.float32)
    return DetectorOutput(
        heat_logits=jnp.asarray(np.log(heat / (1 - heat)), jnp.float32),
        offset=jnp.asarray(zeros if offset is None else offset),
        log_side=jnp.asarray(zeros[..., 0] if log_side is None else log_side),
    )


def test_what_targets_say_peaks_read():
    batch = scene([[0.31, 0.2], [0.7, 0.66]], [0.2, 0.5], [True, False])
    targets = detection_targets(batch, GRID)
    peaks = find_peaks(answer(targets.heat, targets.offset, targets.log_side))
    assert np.sort(peaks.score[0])[::-1][2] < 0.01  # two hands, two peaks
    first = np.argsort(peaks.centre[0, :2, 0])
    np.testing.assert_allclose(peaks.centre[0, first], batch.centre[0], atol=1e-4)
    np.testing.assert_allclose(peaks.side[0, first], batch.side[0], rtol=1e-4)
    np.testing.assert_allclose(peaks.left_share[0, first], [1, 0], atol=1e-3)


def test_peaks_of_a_map_made_by_hand():
    heat = np.zeros((1, GRID, GRID, 2))
    heat[0, 3, 7, LEFT], heat[0, 3, 7, RIGHT] = 0.3, 0.5  # unsure of the side, sure of the hand
    heat[0, 3, 8, RIGHT] = 0.7  # next to it and lower than the two together
    heat[0, 0, 0, RIGHT] = 0.6  # in the corner
    peaks = find_peaks(answer(heat), count=3)
    np.testing.assert_allclose(peaks.score[0, :2], [0.8, 0.6], atol=1e-3)
    assert peaks.score[0, 2] < 0.01
    np.testing.assert_allclose(peaks.centre[0, :2] * GRID, [[7.5, 3.5], [0.5, 0.5]])
    np.testing.assert_allclose(peaks.left_share[0, 0], 0.375, atol=1e-3)


def test_loss_is_least_for_the_truth_and_blind_to_doubtful_hands():
    batch = scene([[0.3, 0.3], [0.8, 0.8]], [0.2, 0.3], [False, True], [True, False], [False, True])
    targets = detection_targets(batch, GRID)
    right = answer(targets.heat, targets.offset, targets.log_side)
    loss, terms = detection_loss(right, batch)
    loss = float(loss)
    assert set(terms) == {"heat", "offset", "side", "total"}
    assert terms["offset"] == terms["side"] == 0
    # A hand that is doubtful may be found or not; elsewhere a false alarm costs.
    at_doubtful, elsewhere = np.array(targets.heat), np.array(targets.heat)
    at_doubtful[0, 19, 19, LEFT] = elsewhere[0, 19, 5, LEFT] = 0.9
    same, more = (
        float(detection_loss(answer(heat, targets.offset, targets.log_side), batch)[0])
        for heat in (at_doubtful, elsewhere)
    )
    assert same == pytest.approx(loss, rel=1e-5)
    # The focal loss of one cell far from any hand: 0.9^2 * -log(0.1).
    assert more - loss == pytest.approx(0.81 * -np.log(0.1), rel=1e-3)


def test_a_scene_without_hands_has_a_finite_gradient():
    batch = scene([[0.0, 0.0]], [0.0], [False], [False])
    heat = np.full((1, GRID, GRID, 2), 0.02)
    gradient = jax.grad(lambda out: detection_loss(out, batch)[0])(answer(heat))
    chex.assert_tree_all_finite(gradient)


def test_the_network_is_as_small_as_promised():
    config = DetectorConfig()
    image = jax.ShapeDtypeStruct((1, 192, 192, 3), jnp.float32)
    model = Detector(config)
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
    program = jax.make_jaxpr(lambda v, x: model.apply(v, x, train=False))(shapes, image)
    assert sum(flops for _, flops in _products(program.jaxpr)) < 150e6
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) < 0.5e6
    output = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), shapes, image)
    assert output.heat_logits.shape == (1, GRID, GRID, 2)
    with pytest.raises(ValueError, match="expected shape"):
        model.init(jax.random.key(0), jnp.zeros((1, 96, 192, 3)), train=False)
