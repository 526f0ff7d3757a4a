"""Learning-rate schedule and optimiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import OptimConfig
from i2uv_jax.training.optimizer import build_optimizer, learning_rate_schedule


def test_schedule_warms_up_and_follows_a_cosine():
    schedule = learning_rate_schedule(OptimConfig(peak_learning_rate=1.0, warmup_steps=10), 110)
    # Linear to the peak at step 10, half of it at the middle of the cosine, nothing at the end.
    steps = np.array([0, 5, 10, 60, 110])
    np.testing.assert_allclose([schedule(step) for step in steps], [0, 0.5, 1, 0.5, 0], atol=1e-6)


def test_schedule_without_warmup_starts_at_the_peak():
    config = OptimConfig(peak_learning_rate=1.0, end_learning_rate=0.2)
    schedule = learning_rate_schedule(config, 100)
    np.testing.assert_allclose([schedule(0), schedule(50), schedule(100)], [1, 0.6, 0.2], rtol=1e-6)


def first_update(config, params, gradient):
    optimizer = build_optimizer(config, 10)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    return updates


def test_weight_decay_spares_biases():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    zero = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    config = OptimConfig(algorithm="adamw", peak_learning_rate=0.1, weight_decay=0.5)
    updates = first_update(config, params, zero)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], 0, atol=1e-9)


@pytest.mark.parametrize(("clip_norm", "expected"), [(None, -0.3), (1.0, -0.06)])
def test_gradient_is_clipped_by_its_norm(clip_norm, expected):
    # Adam's first step is g / (|g| + epsilon): with a large epsilon nearly proportional to g.
    config = OptimConfig(
        peak_learning_rate=100.0, epsilon=1000.0, beta1=0.0, beta2=0.0, clip_norm=clip_norm
    )
    updates = first_update(config, {"a": jnp.zeros(2)}, {"a": jnp.array([3.0, 4.0])})
    np.testing.assert_allclose(updates["a"][0], expected, rtol=5e-3)


def test_lamb_moves_kernels_by_a_share_of_their_length_and_biases_as_adam_does():
    kernel = jnp.array([[3.0, 0.0], [0.0, 4.0]])  # of length 5
    params = {"kernel": kernel, "bias": jnp.zeros(2)}
    gradient = {"kernel": jnp.array([[1e-3, -7.0], [2.0, 5.0]]), "bias": jnp.array([0.3, -2.0])}
    config = OptimConfig(algorithm="lamb", peak_learning_rate=0.1)
    updates = first_update(config, params, gradient)
    # Adam's first step is the gradient's sign, of length 2 for four entries.
    np.testing.assert_allclose(updates["kernel"], [[-0.25, 0.25], [-0.25, -0.25]], rtol=1e-3)
    np.testing.assert_allclose(updates["bias"], [-0.1, 0.1], rtol=1e-3)
    zero = jax.tree.map(jnp.zeros_like, gradient)
    decay = OptimConfig(algorithm="lamb", peak_learning_rate=0.1, weight_decay=0.5)
    updates = first_update(decay, params, zero)
    # The decay's direction alone, whatever its strength.
    np.testing.assert_allclose(updates["kernel"], -0.1 * kernel, rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], 0, atol=1e-9)


def test_muon_takes_orthogonal_steps_where_a_norm_follows_and_adam_steps_elsewhere():
    kernel = jnp.zeros((1, 1, 3, 2))
    params = {
        "conv": {"kernel": kernel, "bias": jnp.zeros(2)},
        "norm": {"scale": jnp.ones(2), "bias": jnp.zeros(2)},
        "head": {"kernel": kernel},
    }
    gradient = jax.tree.map(lambda x: jax.random.normal(jax.random.key(x.size), x.shape), params)
    config = OptimConfig(algorithm="muon", peak_learning_rate=0.1, adam_share=0.5)
    updates = first_update(config, params, gradient)
    # Five Newton-Schulz rounds bring every singular value near 1: within about 0.3 of it.
    singular = np.linalg.svd(updates["conv"]["kernel"].reshape(3, 2), compute_uv=False)
    np.testing.assert_allclose(singular, 0.1, rtol=0.35)
    # Adam with Nesterov's momentum (Dozat 2016): the first step is the gradient's sign times the
    # learning rate times 1 + beta1 (1 - beta1) / (1 - beta1^2).
    first_step = 0.05 * (1 + 0.9 / 1.9)
    for adam in (updates["head"]["kernel"], updates["norm"]["scale"], updates["conv"]["bias"]):
        np.testing.assert_allclose(jnp.abs(adam), first_step, rtol=1e-3)


def test_muon_decays_its_convolutions_alone_and_leaves_epsilon_to_adam():
    kernel = jnp.ones((1, 1, 2, 2))
    params = {
        "conv": {"kernel": kernel},
        "norm": {"scale": jnp.ones(2)},
        "head": {"kernel": kernel},
    }
    config = OptimConfig(
        algorithm="muon", peak_learning_rate=0.1, adam_share=0.5, weight_decay=0.5, epsilon=1000.0,
        beta1=0.0,
    )  # fmt: skip
    updates = first_update(config, params, jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_allclose(updates["head"]["kernel"], 0, atol=1e-9)
    # With a large epsilon Adam's step is nearly proportional to the gradient.
    updates = first_update(config, params, jax.tree.map(lambda x: 3 * x, params))
    np.testing.assert_allclose(updates["head"]["kernel"], -0.05 * 3 / 1003, rtol=1e-3)
