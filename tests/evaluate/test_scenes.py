"""Generated scenes for detectors, with a stand-in for the renderer."""

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.cli.main import main
from i2uv_jax.evaluate import scenes
from i2uv_jax.inference import hand_detector
from i2uv_jax.types import SceneBatch


@pytest.fixture
def batch_sizes(monkeypatch):
    """Sizes of the batches that have been asked for; their scenes are told apart by their grey."""
    asked = []

    def sample(key, pool, scene, sensor, batch_size):
        asked.append(batch_size)
        grey = jnp.arange(batch_size)[:, None, None, None] / 255
        return SceneBatch(
            image=jnp.broadcast_to(grey, (batch_size, 64, 64, 3)),
            centre=jnp.full((batch_size, 1, 2), 0.5),
            side=jnp.full((batch_size, 1), 0.25),
            is_left=jnp.zeros((batch_size, 1), bool),
            is_shown=jnp.ones((batch_size, 1), bool),
            is_doubtful=jnp.zeros((batch_size, 1), bool),
            keypoints_2d=jnp.zeros((batch_size, 1, 21, 2)),
        )

    monkeypatch.setattr(scenes, "PoolMaker", lambda *_: lambda key, *_: key)
    monkeypatch.setattr(scenes, "sample_scenes", sample)
    return asked


@pytest.mark.parametrize(("options", "expected"), [([], 16), (["--batch", "3"], 3)])
def test_as_many_scenes_are_drawn_at_a_time_as_batch_says(
    tmp_path, batch_sizes, monkeypatch, options, expected
):
    seen = []

    class Detector:
        def compile(self):
            pass

        def __call__(self, picture):
            seen.append(int(picture.mean()))
            return []

    monkeypatch.setattr(hand_detector, "load_detector", lambda *_, **__: Detector())
    words = ["eval", "detector", "--out", str(tmp_path), "--count", "5", *options]
    assert main(words) == 0
    assert batch_sizes == [expected]  # traced once
    assert seen == list(np.arange(5) % expected)
