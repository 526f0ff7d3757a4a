"""What a run reports of its speed."""

import io

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from i2uv_jax.config import HandNetConfig, TrainConfig
from i2uv_jax.measuring import device_peaks
from i2uv_jax.models.complexity import model_complexity, total_complexity
from i2uv_jax.training import reporting
from i2uv_jax.training.reporting import Reporter
from i2uv_jax.training.sharding import make_mesh
from i2uv_jax.training.surface_task import describe
from i2uv_jax.training.utilisation import utilisation_per_image_rate


@pytest.fixture
def scalars(tmp_path, monkeypatch):
    """What goes to TensorBoard in four steps of 2 s, half of each spent waiting for data."""
    written, now = {}, [100.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    config = TrainConfig(num_steps=10, batch_size=8, log_every=4)
    with Reporter(
        tmp_path, config, stream=io.StringIO(), utilisation_per_image_rate=0.1
    ) as reporter:
        monkeypatch.setattr(
            reporter._writer, "add_scalar", lambda name, value, step: written.update({name: value})
        )
        for step in range(1, 5):
            # The first step, which compiles, does not count.
            reporter.step_done(step, {"loss/total": 1.0}, data_seconds=1.0)
            now[0] += 2.0
    return written


def test_speed_waiting_and_utilisation(scalars):
    assert scalars["speed/step_seconds"] == pytest.approx(2.0)
    assert scalars["speed/images_per_second"] == pytest.approx(4.0)
    assert scalars["speed/data_wait_seconds"] == pytest.approx(1.0)
    assert scalars["speed/data_wait_share"] == pytest.approx(0.5)
    assert scalars["speed/model_flop_utilisation"] == pytest.approx(0.4)


def test_a_resumed_run_takes_back_what_was_told_of_the_steps_to_come(tmp_path):
    config = TrainConfig(num_steps=10, batch_size=8, log_every=1)
    with Reporter(tmp_path, config, first_step=4, stream=io.StringIO()) as reporter:
        reporter.step_done(5, {"loss/total": 1.0}, data_seconds=0.0)
    (path,) = tmp_path.iterdir()
    # TensorBoard forgets all from the step of such an event on.
    start = Event(step=5, session_log=SessionLog(status=SessionLog.START))
    assert start.SerializeToString() in path.read_bytes()


def test_utilisation_counts_three_forwards_against_all_devices(monkeypatch):
    config = HandNetConfig(image_size=64)
    kind = make_mesh(2).devices.flat[0].device_kind
    assert utilisation_per_image_rate(config, make_mesh(2)) is None
    # As many operations a second as one image takes forwards: at one image a second two devices
    # would have to do three halves of what they can.
    flops = total_complexity(model_complexity(config)).flops
    peaks = device_peaks.Peaks({"float32": flops / 1e12}, 1.0, "made up")
    monkeypatch.setitem(device_peaks.TABLE, kind, peaks)
    assert utilisation_per_image_rate(config, make_mesh(2)) == pytest.approx(1.5)


def test_errors_of_pairs_are_said_beside_the_coarse_ones():
    errors = {
        "surface_mm": 0.5,
        "coarse_surface_mm": 2.0,
        "normal_degrees": 4.0,
        "coarse_normal_degrees": 8.0,
    }
    said = describe(errors)
    assert said == "on unseen pairs surfaces 2.000 -> 0.500 mm (25%), normals 8.0 -> 4.0 degrees"
