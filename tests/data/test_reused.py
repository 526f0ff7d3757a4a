"""Batches that are trained on several times: how often each picture comes, and when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.data.reused import ReusedSource
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from i2uv_jax.types import Batch, Camera

REUSE, BATCH_SIZE = 3, 4


class Numbered:
    """Grey pictures whose number is the depth of their keypoints, which no variation changes."""

    atlas = keypoint_regressor = None

    def __init__(self):
        self.asked_for = []

    def training_batch(self, step):
        self.asked_for.append(step)
        numbers = step * BATCH_SIZE + jnp.arange(BATCH_SIZE, dtype=jnp.float32)
        points = jnp.broadcast_to(
            jnp.array([0.0, 0.0, 1.0]) * (1 + numbers)[:, None, None], (BATCH_SIZE, 21, 3)
        )
        return Batch(
            image=jnp.full((BATCH_SIZE, 8, 8, 3), 0.5),
            uv_map=jnp.zeros((BATCH_SIZE, 4, 4, 3)),
            vertices=points,
            keypoints=points,
            hand_mask=jnp.ones((BATCH_SIZE, 8, 8)),
            keypoint_visible=jnp.ones((BATCH_SIZE, 21), bool),
            camera=Camera(jnp.ones(BATCH_SIZE), jnp.full((BATCH_SIZE, 2), 0.5)),
        )

    def evaluation_batches(self):
        yield self.training_batch(1000)

    def state(self, step):
        return {"next_index": step}


@pytest.fixture
def source():
    return ReusedSource(
        Numbered(), REUSE, jax.random.key(0), batch_sharding(make_mesh(1)), turn_degrees=15.0
    )


def numbers(batch):
    return [int(number) for number in batch.keypoints[:, 0, 2] - 1]


def test_every_round_of_a_pool_shows_each_picture_once_in_another_order(source):
    rounds = [
        [number for step in range(REUSE) for number in numbers(source.training_batch(first + step))]
        for first in range(0, 2 * REUSE**2, REUSE)
    ]
    pool = range(REUSE * BATCH_SIZE)
    assert all(sorted(shown) == list(pool) for shown in rounds[:REUSE])
    assert all(sorted(shown) == [len(pool) + n for n in pool] for shown in rounds[REUSE:])
    assert len({tuple(shown) for shown in rounds}) == 2 * REUSE


def test_no_picture_looks_the_same_twice(source):
    shown = {}
    for step in range(REUSE**2):
        batch = source.training_batch(step)
        for number, principal in zip(numbers(batch), batch.camera.principal, strict=True):
            shown.setdefault(number, []).append(np.asarray(principal))
    for places in shown.values():
        distances = np.linalg.norm(np.array(places)[:, None] - np.array(places), axis=-1)
        assert distances[~np.eye(REUSE, dtype=bool)].min() > 1e-4


def test_a_batch_depends_on_its_step_alone(source):
    first = source.training_batch(4)
    source.training_batch(REUSE**2)
    jax.tree.map(np.testing.assert_array_equal, first, source.training_batch(4))


def test_evaluation_and_state_are_the_other_source_s(source):
    (batch,) = source.evaluation_batches()
    assert numbers(batch)[0] == 1000 * BATCH_SIZE
    # What a checkpoint says of the order is where the pool began.
    assert source.state(REUSE**2 + 1) == {"next_index": REUSE}
