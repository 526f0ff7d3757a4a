"""Steps that go wrong: which are found, what is kept of them, and when the run stops."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import TrainConfig
from i2uv_jax.training.bad_steps import (
    MAX_SKIPPED_IN_A_ROW,
    BadStepWatch,
    DivergedError,
    write_batch,
)
from i2uv_jax.types import Batch, Camera

GOOD = {"loss/final/uv_l1": 0.1, "loss/total": 0.2, "gradient_norm": 3.0}
NAN = {**GOOD, "loss/final/uv_l1": float("nan"), "loss/total": float("nan")}
BAD_GRADIENT = {**GOOD, "gradient_norm": float("inf")}
EXPLODED = {**GOOD, "loss/total": 501.0}


class Run:
    """A watch, and what it did."""

    def __init__(self, save_batch=None, **options):
        self.saved, self.said = [], []
        config = TrainConfig(seed=9, max_loss=500.0, **options)
        self.watch = BadStepWatch(config, save_batch=save_batch or self._save, say=self.said.append)

    def _save(self, step):
        self.saved.append(step)
        return Path(f"bad_step_{step}.npz")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        # The term, not its sum: it tells where to look.
        (NAN, "loss/final/uv_l1 is nan"),
        (BAD_GRADIENT, "gradient_norm is inf"),
        (EXPLODED, "loss/total is 501, above train.max_loss=500"),
    ],
)
def test_bad_step_stops_the_run_and_its_batch_is_kept(values, cause):
    run = Run()
    run.watch.check(6, GOOD)
    with pytest.raises(DivergedError) as error:
        run.watch.check(7, values)
    batch = "its batch (train.seed=9, step 7) is in bad_step_7.npz"
    assert str(error.value).startswith(f"step 7: {cause}; {batch}; ")
    assert run.saved == [7]
    assert "\n" not in str(error.value)


def test_skipping_goes_on_until_there_are_too_many_in_a_row():
    run = Run(bad_steps="skip")
    for step in range(3 * MAX_SKIPPED_IN_A_ROW):
        run.watch.check(step, NAN if step % 3 else GOOD)  # two in a row at most
    assert all("update skipped" in line for line in run.said)
    # One batch of each row, not hundreds.
    assert run.saved == list(range(1, 3 * MAX_SKIPPED_IN_A_ROW, 3))

    run.watch.check(99, GOOD)
    for step in range(100, 100 + MAX_SKIPPED_IN_A_ROW):
        run.watch.check(step, NAN)
    with pytest.raises(DivergedError, match=f"{MAX_SKIPPED_IN_A_ROW + 1} bad steps in a row"):
        run.watch.check(200, NAN)


def test_full_disk_does_not_hide_what_went_wrong():
    def no_room(step):
        raise OSError(28, "No space left on device")

    with pytest.raises(DivergedError, match=r"step 7: .* is nan; .*could not be saved.*No space"):
        Run(save_batch=no_room).watch.check(7, NAN)


def test_saved_batch_holds_every_leaf_by_name(tmp_path):
    batch = Batch(
        image=jnp.full((2, 4, 4, 3), 0.5),
        uv_map=jnp.full((2, 4, 4, 3), jnp.nan),
        vertices=jnp.zeros((2, 5, 3)),
        keypoints=jnp.zeros((2, 21, 3)),
        hand_mask=jnp.ones((2, 4, 4)),
        keypoint_visible=jnp.ones((2, 21), bool),
        camera=Camera(focal=jnp.array([2.0, 3.0]), principal=jnp.full((2, 2), 0.5)),
    )
    write_batch(tmp_path / "batch.npz", batch, step=4, seed=9)
    saved = np.load(tmp_path / "batch.npz")
    assert (saved["step"], saved["seed"]) == (4, 9)
    np.testing.assert_array_equal(saved["camera.focal"], [2.0, 3.0])
    np.testing.assert_array_equal(saved["uv_map"], batch.uv_map)
    assert len(saved.files) == 2 + 8
