"""The JavaScript of docs/export.md under Node, where onnxruntime-web is to be found
(`npm install onnxruntime-web`, and NODE_PATH its node_modules)."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference.export import export_model
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.models.random_weights import random_variables

CONFIG = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, takes_keypoints=True),
    sr=None,
    image_size=32,
)

PROGRAM = """
const fs = require("fs"), ort = require("onnxruntime-web");
%s
(async () => {
  const session = await ort.InferenceSession.create(fs.readFileSync("hand.onnx"));
  const made = await hand(session, new Uint8Array(fs.readFileSync("crop.raw")), 32);
  const numbers = { vertices: Array.from(made.verticesMm), keypoints: made.keypointsMm,
                    faces: Array.from(made.faces) };
  fs.writeFileSync("made.json", JSON.stringify(numbers));
})();
"""


def is_missing() -> bool:
    if shutil.which("node") is None:
        return True
    asked = subprocess.run(["node", "-e", 'require("onnxruntime-web")'], capture_output=True)
    return asked.returncode != 0


@pytest.mark.skipif(is_missing(), reason="needs Node with onnxruntime-web")
def test_the_document_s_javascript_gives_the_same_hand(request, tmp_path):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    # Gains that are random as well would magnify every rounding.
    variables = {
        name: (0.01 if "pull" in name else 1) * array
        for name, array in flatten_dict(random_variables(CONFIG), sep="/").items()
    }
    variables = unflatten_dict(variables, sep="/")
    (tmp_path / "hand.onnx").write_bytes(export_model("onnx", CONFIG, variables, load_hand(), "it"))
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "crop.raw").write_bytes(crop.tobytes())
    document = (request.config.rootpath / "docs" / "export.md").read_text()
    (example,) = re.findall(r"```js\n(.*?)```", document, flags=re.DOTALL)
    words = ["node", "-e", PROGRAM % example]
    subprocess.run(words, capture_output=True, check=True, cwd=tmp_path)
    made = json.loads((tmp_path / "made.json").read_text())
    expected = Predictor(CONFIG, variables)(crop)
    vertices = np.reshape(made["vertices"], (-1, 3))
    np.testing.assert_allclose(vertices, expected.vertices_mm, atol=0.01)
    np.testing.assert_allclose(made["keypoints"], expected.keypoints_3d_mm, atol=0.01)
    np.testing.assert_array_equal(np.reshape(made["faces"], (-1, 3)), expected.faces)
