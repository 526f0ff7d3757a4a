"""A detector goes through the common training loop: it learns, resumes and hands out its model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import (
    DetectorConfig,
    DetectorExperimentConfig,
    EvaluationConfig,
    OptimConfig,
    TrainConfig,
)
from i2uv_jax.inference.hand_detector import load_detector
from i2uv_jax.training.loop import train
from i2uv_jax.training.run_folder import load_run_config
from i2uv_jax.types import SceneBatch
from launch import ship_model

SIZE = 64


class SquareSource:
    """Squares for hands, one a picture: the bright half tells the side."""

    atlas = keypoint_regressor = None

    def __init__(self, batch_size):
        self._make = jax.jit(lambda key: self.draw(key, batch_size))

    @staticmethod
    def draw(key, count) -> SceneBatch:
        lots = jax.random.uniform(key, (count, 4))
        side = 0.3 + 0.3 * lots[:, 0]
        centre = 0.35 + 0.3 * lots[:, 1:3]
        is_left = lots[:, 3] < 0.5
        axis = (jnp.arange(SIZE) + 0.5) / SIZE
        x = (axis - centre[:, :1])[:, None, :]
        y = (axis - centre[:, 1:])[:, :, None]
        half = side[:, None, None] / 2
        inside = (jnp.abs(x) < half) & (jnp.abs(y) < half)
        bright = jnp.where(is_left[:, None, None], x < 0, x > 0)
        image = 0.3 + inside * jnp.where(bright, 0.6, -0.3)
        places = {"centre": centre[:, None], "side": side[:, None], "is_left": is_left[:, None]}
        there = jnp.ones((count, 1), bool)
        return SceneBatch(
            image=jnp.broadcast_to(image[..., None], (count, SIZE, SIZE, 3)),
            is_shown=there,
            is_doubtful=~there,
            keypoints_2d=jnp.zeros((count, 1, 21, 2)),
            **places,
        )

    def training_batch(self, step):
        return self._make(jax.random.fold_in(jax.random.key(1), step))

    def evaluation_batches(self):
        yield from (self._make(jax.random.fold_in(jax.random.key(2), i)) for i in range(4))

    def state(self, step):
        return {}


@pytest.mark.slow
def test_a_detector_learns_resumes_and_finds_hands_in_photos(tmp_path):
    steps = 150
    config = DetectorExperimentConfig(
        name="squares",
        model=DetectorConfig(image_size=SIZE, channels=(8, 8, 16, 16, 16)),
        optim=OptimConfig(peak_learning_rate=1e-2, clip_norm=5.0, warmup_steps=5),
        train=TrainConfig(
            num_steps=steps, batch_size=16, num_devices=1, log_every=50, picture_every=steps,
            evaluate_every=steps, save_every=steps, max_minutes=1e-9,
        ),
        evaluation=EvaluationConfig(num_images=64),
    )  # fmt: skip
    source = SquareSource(16)
    before = train(config, tmp_path, source=source)  # time is over after one step
    assert before.steps_done == 1
    config = replace(config, train=replace(config.train, max_minutes=None))
    after = train(config, tmp_path, source=source, resume=True)
    assert after.steps_done == steps
    assert before.scores["average_precision"] < 0.3
    assert after.scores["average_precision"] > 0.8
    assert after.scores["side_accuracy"] > 0.9
    assert load_run_config(tmp_path) == config

    detector = load_detector(tmp_path / "model.safetensors")
    scene = jax.device_get(SquareSource.draw(jax.random.key(5), 1))
    photo = np.round(255 * scene.image[0]).astype(np.uint8)
    best, *_ = detector(photo)
    left, top, right, bottom = best.box_xyxy
    middle = [(left + right) / 2, (top + bottom) / 2]
    np.testing.assert_allclose(middle, SIZE * scene.centre[0, 0], atol=4)
    assert right - left == pytest.approx(SIZE * scene.side[0, 0], rel=0.25)
    assert best.handedness == ("left" if scene.is_left[0, 0] else "right")


def test_shipping_takes_detectors_too(tmp_path, monkeypatch):
    from i2uv_jax.config_io import to_json
    from i2uv_jax.models.random_weights import random_variables
    from i2uv_jax.models.weights import load_model_file, save_model
    from i2uv_jax.training.run_folder import CONFIG_FILE, MODEL_FILE

    config = DetectorExperimentConfig(name="detector")
    run = tmp_path / "run"
    run.mkdir()
    (run / CONFIG_FILE).write_text(to_json(config))
    card = {"name": "detector", "evaluation": {"average_precision": 0.5}}
    save_model(run / MODEL_FILE, config.model, random_variables(config.model), card)
    monkeypatch.setattr("sys.argv", ["ship_model", str(run), "--weights", str(tmp_path)])
    ship_model.main()
    shipped = tmp_path / "detector.safetensors"
    assert load_model_file(shipped, DetectorConfig)[2] == card
    assert shipped.stat().st_size < 2e6
