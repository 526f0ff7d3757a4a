"""`i2uv demo`, with a stand-in for renderer and network whose error is known."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.cli import demo, hand_files
from i2uv_jax.cli.main import main
from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render import scene
from i2uv_jax.types import Batch, Camera


@pytest.fixture
def template_scene(monkeypatch):
    """Shows the template hand from 50 m away, where perspective is weak; returns its scale.

    The stand-in for the network (see `fast_network`) sees that very hand.
    """
    hand = load_hand()
    bones = 1.25  # the true hand is larger than the assumed one by about this factor
    points = bones * (hand.template - hand.template.mean(0)) * np.array([1, -1, -1])
    vertices = (points + np.array([0, 0, 50]))[None].astype(np.float32)

    def sample_batch(key, hand, config, batch_size):
        size = config.image_size
        return Batch(
            image=jnp.zeros((1, size, size, 3)),
            uv_map=jnp.zeros((1, config.uv_map_size, config.uv_map_size, 3)),
            vertices=jnp.asarray(vertices),
            keypoints=jnp.asarray(hand.keypoint_regressor @ vertices),
            hand_mask=jnp.ones((1, size, size)),
            keypoint_visible=jnp.ones((1, 21), bool),
            camera=Camera(focal=jnp.full(1, 200.0), principal=jnp.full((1, 2), 0.5)),
        )

    monkeypatch.setattr(scene, "sample_batch", sample_batch)
    return bones


def test_demo_writes_three_files_and_the_true_error(
    tmp_path, tiny_model_path, fast_network, template_scene, capsys
):
    out = tmp_path / "new" / "out"
    assert main(["demo", "--out", str(out), "--model", str(tiny_model_path)]) == 0
    assert {path.name for path in out.iterdir()} == {"demo.glb", "demo.png", "demo.json"}
    printed = capsys.readouterr().out
    for name in ("demo.glb", "demo.png", "demo.json"):
        assert str(out / name) in printed

    numbers = json.loads((out / "demo.json").read_text())
    errors_mm = numbers["error_mm"]
    assert f"vertices {errors_mm['vertices_aligned']:.1f} mm" in printed
    # Aligned, only what a 16 x 16 map cannot hold is left. (Measured: 2.7 mm.)
    assert errors_mm["vertices_aligned"] < 4
    assert errors_mm["keypoints_aligned"] < 4
    # As it stands the hand is as large as assumed: off by a share of the distance to the wrist.
    hand = load_hand()
    points = 1000 * (hand.template - hand.keypoint_regressor[0] @ hand.template)
    keypoints = hand.keypoint_regressor @ points
    length = np.linalg.norm(np.diff(keypoints[np.array(KEYPOINT_EDGES)], axis=1), axis=-1).sum()
    missing = template_scene - 1000 * float(hand.mean_bone_length_m) / length
    expected = missing * np.linalg.norm(points, axis=-1).mean()
    assert errors_mm["vertices"] == pytest.approx(expected, abs=4)
    (shown,) = numbers["hands"]
    assert shown["mesh"] == "demo.glb" and shown["vertices"] == 1609


def test_a_full_disk_costs_a_line(
    tmp_path, tiny_model_path, fast_network, template_scene, capsys, monkeypatch
):
    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(hand_files, "write_atomically", full)
    monkeypatch.setattr(demo, "make_output_folder", lambda folder: None)
    assert main(["demo", "--out", str(tmp_path), "--model", str(tiny_model_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"i2uv demo: error: --out {tmp_path}: results cannot be written (No space left on device)"
    )


def test_seeds_that_are_none_are_refused(capsys):
    for text in ("-1", str(2**32)):
        with pytest.raises(SystemExit):
            main(["demo", "--seed", text])
        assert "expected a whole number from 0 to" in capsys.readouterr().err


def test_demo_complaints(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), "--model", "none-such"]) == 2
    assert "i2uv demo: error: no model named 'none-such'" in capsys.readouterr().err
