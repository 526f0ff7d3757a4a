"""The stage that lays a hand into the picture: it starts with a hand, and its turns are turns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mean_hand import mean_uv_map
from i2uv_jax.metrics import aligned_position_error
from i2uv_jax.models.hand_stage import HandStage, rotation_from_columns

SIZE = 16


def vertices(uv_map):
    return vertices_from_uv_map(build_tables(load_hand().atlas, SIZE), uv_map)


def test_untrained_stage_shows_a_whole_hand_fingers_up():
    stage = HandStage(SIZE, num_hidden=16, channels=2)
    features = jax.random.normal(jax.random.key(0), (3, 2, 2, 8))
    variables = jax.jit(functools.partial(stage.init, train=False))(jax.random.key(1), features)
    texels, uv_map, presence_logit = stage.apply(variables, features, train=False)
    assert texels.shape == (3, SIZE, SIZE, 2)
    assert presence_logit is None
    mean = vertices(jnp.broadcast_to(mean_uv_map(SIZE), uv_map.shape))
    # In hand lengths, so 0.05 is 9 mm: a little noise of the untrained layer, but a hand.
    assert float(aligned_position_error(vertices(uv_map), mean).max()) < 0.05
    keypoints = load_hand().keypoint_regressor @ np.asarray(vertices(uv_map))
    assert (keypoints[:, 12, 1] < keypoints[:, 0, 1]).all()  # middle tip above the wrist, y down


def test_presence_starts_undecided_and_moves_no_other_parameter():
    features = jax.random.normal(jax.random.key(0), (3, 2, 2, 8))
    plain, telling = (
        HandStage(SIZE, num_hidden=16, channels=2, presence=presence) for presence in (False, True)
    )
    without, variables = (
        jax.jit(functools.partial(stage.init, train=False))(jax.random.key(1), features)
        for stage in (plain, telling)
    )
    np.testing.assert_array_equal(telling.apply(variables, features, train=False)[2], [0, 0, 0])
    head = variables["params"].pop("presence")
    assert head["kernel"].shape == (16, 1)
    jax.tree.map(np.testing.assert_array_equal, variables, without)


def test_keypoints_say_nothing_at_first_and_unknown_ones_never_do():
    features = jax.random.normal(jax.random.key(0), (3, 2, 2, 8))
    keypoints = jax.random.uniform(jax.random.key(2), (3, 21, 3)).at[0].set(jnp.nan)
    plain, told = (
        HandStage(SIZE, num_hidden=16, channels=2, takes_keypoints=takes) for takes in (False, True)
    )
    init = jax.jit(functools.partial(told.init, train=False))
    variables = init(jax.random.key(1), features, keypoints)
    without = {
        kind: {name: leaf for name, leaf in tree.items() if name != "keypoint_encoder"}
        for kind, tree in variables.items()
    }
    expected = plain.apply(without, features, train=False)[1]
    np.testing.assert_array_equal(
        told.apply(variables, features, keypoints, train=False)[1], expected
    )
    # Once it has learned, pictures without keypoints are as if none had been asked for.
    encoder = variables["params"]["keypoint_encoder"]
    encoder["features"]["kernel"] = jax.random.normal(jax.random.key(3), (512, 16))
    found = told.apply(variables, features, keypoints, train=False)[1]
    silent = told.apply(variables, features, train=False)[1]
    np.testing.assert_allclose(found[0], silent[0], atol=1e-6)
    assert np.abs(found - silent)[1:].max(axis=(1, 2, 3)).min() > 0.01
    assert np.isfinite(found).all()


def test_gram_schmidt_by_hand():
    # (0, 2, 0) gives the first column (0, 1, 0); (3, 5, 0) less its part along that is (3, 0, 0).
    rotation = rotation_from_columns(jnp.array([[0.0, 2, 0, 3, 5, 0]]))[0]
    np.testing.assert_allclose(rotation, [[0, 1, 0], [1, 0, 0], [0, 0, -1]], atol=1e-6)


def test_mean_map_is_the_mean_hand_in_hand_lengths():
    points = np.asarray(vertices(jnp.asarray(mean_uv_map(SIZE))))
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.02)
    # Half bent fingers: the hand is shorter than straightened, longer than its palm.
    assert 0.5 < np.ptp(points[:, 1]) < 1.1
