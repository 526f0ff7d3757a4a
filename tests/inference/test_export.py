"""Exports against JAX on the same pictures, in every format; what they carry; broken files."""

import dataclasses
import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.inference import export as export_module
from i2uv_jax.inference.export import export_model
from i2uv_jax.inference.predictor import Predictor
from i2uv_jax.inference.runtimes import open_export
from i2uv_jax.models.random_weights import random_variables
from i2uv_jax.models.weights import load_model_file

OURS = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, upsample_last=True),
    SRNetConfig((4,), (5, 3), residual=True, size=32),
    image_size=32,
    looks=2,
)
TELLING = dataclasses.replace(
    OURS,
    affine=dataclasses.replace(OURS.affine, presence=True, takes_keypoints=True, confidence=True),
)
PUBLISHED = HandNetConfig(
    AffineNetConfig("resnet50", 0.125, (16, 8, 8, 8, 8, 4)),
    SRNetConfig((4,), (5, 3), residual=True),
    32,
)
FINE = HandNetConfig(
    AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True),
    SRNetConfig((4,), (3, 3), residual=True, size=64, detail_gain=8.0, texel_features=2),
    image_size=64,
    skinned=32,
)
SUFFIX = {"stablehlo": ".stablehlo", "onnx": ".onnx", "litert": ".tflite"}
RUNTIME = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}


def smooth_crops(count, size):
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, size // 4, size // 4, 1), np.uint8))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Writes and opens an export; skips where the runtime is not installed."""
    folder = tmp_path_factory.mktemp("exports")

    def make(file_format, config, variables, name="it", **options):
        if file_format in RUNTIME:
            pytest.importorskip(RUNTIME[file_format], reason=f"needs the extra {file_format}")
        content = export_model(file_format, config, variables, load_hand(), name, **options)
        path = folder / f"{name}{SUFFIX[file_format]}"
        path.write_bytes(content)
        return path

    return make


def differences_mm(config, variables, network, crops):
    ours = Predictor(config, variables, batch_size=len(crops))(list(crops))
    theirs = Predictor(config, variables, batch_size=len(crops), network=network)(list(crops))
    return np.linalg.norm(ours.vertices_mm - theirs.vertices_mm, axis=-1)


@pytest.mark.parametrize(
    ("file_format", "config"),
    # JAX's own format takes whatever JAX takes; the other two are about operations.
    [
        ("stablehlo", PUBLISHED),
        ("stablehlo", FINE),
        ("onnx", OURS),
        ("onnx", PUBLISHED),
        ("onnx", FINE),
        ("litert", OURS),
        ("litert", FINE),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.affine.encoder}-{value.looks}",
)
def test_same_meshes_as_jax(exported, file_format, config):
    variables = random_variables(config)
    network, card = open_export(exported(file_format, config, variables))
    size = config.crop_size
    crops = smooth_crops(3, size)
    assert differences_mm(config, variables, network, crops).max() < 0.01
    assert np.ptp(network(crops)["uv_map"][..., :2]) > 0.02
    assert [entry["name"] for entry in card["inputs"]] == ["image"]
    assert [entry["name"] for entry in card["outputs"]] == ["uv_map"]
    assert card["inputs"][0]["shape"][1:] == [size, size, 3]
    with pytest.raises(
        ValueError, match=rf"uint8 of shape \(batch, {size}, {size}, 3\), got float"
    ):
        network(crops.astype(np.float32))
    with pytest.raises(ValueError, match=r"got uint8 of shape \(3, 16, 16, 3\)"):
        network(crops[:, :16, :16])
    with pytest.raises(ValueError, match="keypoints: expected none"):
        network(crops, np.zeros((3, 21, 3), np.float32))


@pytest.mark.parametrize("file_format", SUFFIX)
def test_what_is_told_to_a_model_and_by_it(exported, file_format):
    variables = random_variables(TELLING)
    network, card = open_export(exported(file_format, TELLING, variables, "telling"))
    assert [entry["name"] for entry in card["inputs"]] == ["image", "keypoints"]
    outputs = {entry["name"]: tuple(entry["shape"][1:]) for entry in card["outputs"]}
    crops = smooth_crops(4, TELLING.crop_size)
    told = {name: array.shape[1:] for name, array in network(crops).items()}
    assert told == outputs == {"uv_map": (32, 32, 3), "presence_logit": (), "texel_error": (8, 8)}
    keypoints = np.random.default_rng(0).uniform(0, TELLING.crop_size, (4, 21, 3))
    keypoints[1, ::2] = np.nan
    keypoints[2, :, 2] = np.nan
    options = {
        "handedness": ["right", "left", "left", "auto"],
        "keypoints": [*keypoints[:3], None],
    }
    ours, theirs = (
        Predictor(TELLING, variables, batch_size=5, network=runtime)(list(crops), **options)
        for runtime in (None, network)
    )
    np.testing.assert_allclose(theirs.vertices_mm, ours.vertices_mm, atol=0.01)
    np.testing.assert_allclose(theirs.presence, ours.presence, atol=1e-5)
    np.testing.assert_allclose(theirs.keypoint_error_mm, ours.keypoint_error_mm, rtol=1e-3)
    untold = Predictor(TELLING, variables, batch_size=5)(list(crops))
    assert np.abs(untold.vertices_mm - ours.vertices_mm)[0].max() > 0.1


def test_the_finer_mesh_begins_with_the_hand(exported):
    hand, variables = load_hand(), random_variables(FINE)
    cards = [
        open_export(exported("stablehlo", FINE, variables, name, fine_mesh=fine_mesh))[1]
        for name, fine_mesh in (("plain", False), ("fine", True))
    ]
    assert [len(card["faces"]) for card in cards] == [3196, 51136]
    # On a map of the hand itself each table gives its mesh.
    uv_map = uv_map_from_vertices(build_tables(hand.atlas, 64), hand.mean_vertices)
    texels = np.asarray(uv_map).reshape(-1, 3)
    plain, fine = (
        (texels[card["vertex_texels"]] * np.array(card["vertex_weights"])[..., None]).sum(axis=1)
        for card in cards
    )
    np.testing.assert_allclose(fine[: len(plain)], plain, atol=1e-6)
    # Every further vertex lies within an edge's length of the hand's.
    distance = np.linalg.norm(fine[::50, None] - plain, axis=-1).min(axis=1)
    edges = plain[hand.faces] - plain[np.roll(hand.faces, 1, axis=1)]
    assert distance.max() < np.linalg.norm(edges, axis=-1).max()
    assert cards[0]["keypoint_regressor"] == cards[1]["keypoint_regressor"]


@pytest.mark.parametrize("int8", ["weights", "convolutions"])
def test_int8_is_smaller_and_near(exported, int8):
    # LiteRT's XNNPACK refuses the float program at 32 pixels, whose last features are one pixel.
    affine = dataclasses.replace(PUBLISHED.affine, encoder="resnet18", width=0.5)
    config = dataclasses.replace(PUBLISHED, affine=affine, image_size=64)
    variables = random_variables(config)
    crops = smooth_crops(12, 64)
    whole = exported("litert", config, variables, "whole")
    hands = [{"image": crop} for crop in crops[4:]]
    path = exported("litert", config, variables, int8, int8=int8, calibration=hands)
    network, card = open_export(path)
    float_map = open_export(whole)[0](crops[:4])["uv_map"]
    error = np.abs(network(crops[:4])["uv_map"] - float_map)
    assert 0 < error.mean() < 0.01 * np.ptp(float_map)
    assert card["precision"] == f"int8 {int8}"

    def program_size(path):
        with zipfile.ZipFile(path) as archive:
            return path.stat().st_size - archive.infolist()[0].compress_size

    assert program_size(path) < 0.4 * program_size(whole)


def test_a_dozen_lines_without_this_package_give_the_same_hand(exported, request):
    config, variables = TELLING, random_variables(TELLING)
    path = exported("onnx", config, variables, "hand")
    (crop,) = smooth_crops(1, config.crop_size)
    np.save(path.with_suffix(".npy"), crop)
    document = (request.config.rootpath / "docs" / "export.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL)
    code = f"""
import numpy as np
crop = np.load("hand.npy")
{example}
print(json.dumps(vertices_mm.tolist()))
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=path.parent
    )
    expected = Predictor(config, variables)(crop).vertices_mm
    np.testing.assert_allclose(json.loads(shown.stdout), expected, atol=0.01)


@pytest.mark.parametrize("file_format", SUFFIX)
def test_broken_files_are_one_line(exported, tiny_model_path, file_format, tmp_path):
    config, variables, _ = load_model_file(tiny_model_path)
    path = exported(file_format, config, variables, "tiny")
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=f"exported file {cut}: truncated"):
        open_export(cut)


def test_files_of_others_and_of_another_version(exported, tiny_model_path, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"none\.onnx: cannot be read \(No such file"):
        open_export(tmp_path / "none.onnx")
    config, variables, _ = load_model_file(tiny_model_path)
    monkeypatch.setattr(export_module, "FORMAT", "i2uv_jax export 0")
    path = exported("stablehlo", config, variables, "old")
    with pytest.raises(ValueError, match=r"old\.stablehlo: expected the format .* got .*export 0"):
        open_export(path)
    with pytest.raises(ValueError, match="int8: only the format litert"):
        export_model("onnx", config, variables, load_hand(), "it", int8="weights")


@pytest.mark.parametrize(
    ("file_format", "module", "int8"),
    [
        ("onnx", "onnx_model", None),
        ("litert", "litert_graph", None),
        ("litert", "litert_int8", "weights"),
    ],
)
def test_a_missing_runtime_names_its_extra(tiny_model_path, file_format, module, int8, monkeypatch):
    monkeypatch.setitem(sys.modules, f"i2uv_jax.inference.{module}", None)
    config, variables, _ = load_model_file(tiny_model_path)
    with pytest.raises(ValueError, match=rf"i2uv-jax\[{file_format}\]"):
        export_model(file_format, config, variables, load_hand(), "it", int8=int8)
