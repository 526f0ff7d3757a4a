"""The profile of a few steps."""

import jax
import jax.numpy as jnp
import pytest

from i2uv_jax.training.profiling import StepProfiler


@pytest.mark.parametrize(("num_steps", "ends_at"), [(20, 107), (5, 104), (2, None)])
def test_profile_covers_steps_three_to_seven_or_what_there_is_of_them(tmp_path, num_steps, ends_at):
    profiler, increase = StepProfiler(tmp_path, first_step=100), jax.jit(lambda x: x + 1)
    state, written = jnp.zeros(()), []
    for step in range(100, 100 + num_steps):
        profiler.before_step(step, state)
        state = increase(state)
        if profiler.after_step(step, state, is_last=step == 99 + num_steps):
            written.append(step)
    assert written == ([] if ends_at is None else [ends_at])
    assert bool(list(tmp_path.rglob("*.xplane.pb"))) == bool(written)
    assert profiler.is_missing == (not written)


def test_without_a_folder_nothing_happens():
    profiler = StepProfiler(None, first_step=0)
    for step in range(20):
        profiler.before_step(step, None)
        assert not profiler.after_step(step, None, is_last=step == 19)
    assert not profiler.is_missing
