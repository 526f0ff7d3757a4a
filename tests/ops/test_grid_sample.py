"""Bilinear sampling against a loop in NumPy, hand-computed cases and its own CPU path."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from i2uv_jax.measuring.collectives import collectives
from i2uv_jax.ops.grid_sample import grid_sample
from i2uv_jax.training.sharding import batch_sharding, make_mesh


def sample_by_loop(features, points):
    """Every pixel weighted by its tent function, summed: no cells, no corners, no indices."""
    height, width, _ = features.shape[1:]
    sampled = np.zeros((*points.shape[:2], features.shape[-1]))
    for b in range(points.shape[0]):
        for n in range(points.shape[1]):
            x, y = np.clip(points[b, n], 0, 1) * [width - 1, height - 1]
            weights_x = np.maximum(0, 1 - abs(np.arange(width) - x))
            weights_y = np.maximum(0, 1 - abs(np.arange(height) - y))
            sampled[b, n] = np.einsum("hwc,h,w->c", features[b], weights_y, weights_x)
    return sampled


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    points = rng.uniform(-0.3, 1.3, size=(2, 40, 2)).astype(np.float32)
    points[0, :3] = [[0, 0], [1, 1], [1, 0]]  # the corner pixels themselves
    return features, points


@pytest.mark.parametrize("cpu_path", [False, True])
def test_sampling_equals_tent_weighted_sum(case, cpu_path):
    sampled = grid_sample(jnp.array(case[0]), jnp.array(case[1]), cpu_path=cpu_path)
    np.testing.assert_allclose(sampled, sample_by_loop(*case), atol=1e-5)


@pytest.mark.parametrize("cpu_path", [False, True])
def test_hand_computed_case(cpu_path):
    # PyTorch's documented semantics with align_corners=True: -1 and 1 (here 0 and 1) are the
    # centres of the corner pixels. (0.25, 0.5) of a 3 x 2 map is column 0.5, row 0.5.
    features = jnp.array([[0.0, 1, 2], [10, 11, 12]]).reshape(1, 2, 3, 1)
    points = jnp.array([[[0, 0], [1, 1], [0.25, 0.5], [0.5, 0], [-3, 0.5], [0, 7]]])
    sampled = grid_sample(features, points, cpu_path=cpu_path)
    assert sampled.ravel().tolist() == pytest.approx([0, 12, 5.5, 1, 5, 10])


@pytest.mark.parametrize("cpu_path", [False, True])
def test_gradients_equal_finite_differences(cpu_path):
    features = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    # Away from the cells' borders, where the derivative in the point jumps.
    cells = jax.random.randint(jax.random.key(1), (2, 6, 2), 0, 3)
    fraction = jax.random.uniform(jax.random.key(2), (2, 6, 2), minval=0.3, maxval=0.7)
    points = (cells + fraction) / jnp.array([4, 3])
    check_grads(
        lambda f, p: grid_sample(f, p, cpu_path=cpu_path),
        (features, points),
        order=1,
        modes=["rev"],
        eps=1e-2,
        atol=2e-2,
        rtol=2e-2,
    )


def test_cpu_path_has_the_plain_gradients(case):
    features, points = map(jnp.array, case)

    def loss(features, points, cpu_path):
        return jnp.sum(jnp.sin(grid_sample(features, points, cpu_path=cpu_path)))

    plain = jax.grad(loss, argnums=(0, 1))(features, points, False)
    fast = jax.grad(loss, argnums=(0, 1))(features, points, True)
    for plain_gradient, fast_gradient in zip(plain, fast, strict=True):
        np.testing.assert_allclose(fast_gradient, plain_gradient, atol=1e-5)


@pytest.mark.parametrize("cpu_path", [False, True])
def test_clamped_and_invalid_points_stay_harmless(cpu_path):
    features = jnp.arange(16.0).reshape(1, 4, 4, 1)
    points = jnp.array([[[5.0, 0.4], [jnp.nan, jnp.nan]]])

    def loss(points):
        return jnp.sum(grid_sample(features, points, cpu_path=cpu_path)[:, 0])

    gradient = jax.grad(loss)(points)
    assert gradient[0, 0, 0] == 0  # clamped in x
    assert gradient[0, 0, 1] == pytest.approx(4 * 3)  # slope 4 per row, 3 rows per unit
    grid_sample(features, points, cpu_path=cpu_path).block_until_ready()


def test_points_keep_their_grid_shape_under_jit():
    sample = jax.jit(grid_sample)
    assert sample(jnp.ones((2, 4, 4, 3)), jnp.zeros((2, 6, 7, 2))).shape == (2, 6, 7, 3)


@pytest.mark.parametrize(
    ("features", "points"), [((2, 4, 4, 1), (3, 5, 2)), ((2, 4, 4, 1), (2, 5, 3)), ((1, 1, 4, 1),
    (1, 5, 2))]
)  # fmt: skip
def test_wrong_shapes_are_named(features, points):
    with pytest.raises(ValueError, match="expected"):
        grid_sample(jnp.zeros(features), jnp.zeros(points))


@pytest.mark.parametrize("cpu_path", [False, True])
def test_by_picture_gives_the_same_and_keeps_devices_apart(case, cpu_path):
    features, points = map(jnp.array, case)

    def gradient(features, points, by_picture):
        def loss(features, points):
            sampled = grid_sample(features, points, cpu_path=cpu_path, by_picture=by_picture)
            return jnp.sum(jnp.sin(sampled)), sampled

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(features, points)

    results = (jax.tree.leaves(gradient(features, points, how)) for how in (True, False))
    for one, whole in zip(*results, strict=True):
        np.testing.assert_allclose(one, whole, atol=1e-6)

    split = batch_sharding(make_mesh(2))
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split) for x in (features, points)]
    step = jax.jit(partial(gradient, by_picture=True), out_shardings=split)
    assert collectives(step.lower(*shapes).compile().as_text(), 2) == ()
