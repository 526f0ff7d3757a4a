"""Predictors on other runtimes than XLA, from a model's file on: what they are told and tell, and
what becomes of models that they cannot run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2uv_jax.config import AffineNetConfig, HandNetConfig, SRNetConfig
from i2uv_jax.inference import backends
from i2uv_jax.inference.backends import load_fastest, load_with_backend
from i2uv_jax.inference.predictor import load_model
from i2uv_jax.inference.runtime_errors import UnsupportedModelError
from i2uv_jax.models.random_weights import random_variables
from i2uv_jax.models.weights import save_model

RUNTIMES = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}

WITHOUT_ERRORS = HandNetConfig(
    AffineNetConfig(
        "resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, presence=True, takes_keypoints=True
    ),
    sr=None,
    image_size=32,
    looks=2,
)
"""A model that is told keypoints and tells presence, but no errors to expect."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache folder for exports."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "i2uv_jax"


def saved(folder, config):
    """The path of a random model's file."""
    save_model(folder / "it.safetensors", config, random_variables(config), {})
    return str(folder / "it.safetensors")


@pytest.mark.parametrize("backend", RUNTIMES)
def test_keypoints_and_presence_are_as_on_xla(tmp_path, backend):
    pytest.importorskip(RUNTIMES[backend], reason=f"needs the extra {backend}")
    path = saved(tmp_path, WITHOUT_ERRORS)
    rng = np.random.default_rng(0)
    # Smooth as photos are: in noise, where a look falls decides all.
    coarse = rng.integers(0, 256, (3, 7, 6, 3), dtype=np.uint8)
    pictures = list(np.kron(coarse, np.ones((1, 10, 10, 1), np.uint8)))
    all_known, no_depths = rng.uniform(10, 50, (2, 21, 3))
    no_depths[:, 2] = np.nan
    told = {"keypoints": [all_known, no_depths, None], "handedness": ["auto", "left", "right"]}
    ours, theirs = (
        load_with_backend(path, name, batch_size=2)(pictures, **told) for name in ("xla", backend)
    )
    np.testing.assert_allclose(theirs.vertices_mm, ours.vertices_mm, atol=0.01)
    np.testing.assert_allclose(theirs.presence, ours.presence, atol=1e-5)
    assert theirs.handedness == ours.handedness
    assert theirs.keypoint_error_mm is ours.keypoint_error_mm is None
    untold = load_model(path, batch_size=2)(pictures, handedness=told["handedness"])
    moved = np.abs(untold.vertices_mm - ours.vertices_mm).max(axis=(1, 2))
    assert (moved[:2] > 0.1).all()
    assert moved[2] == 0


@pytest.mark.parametrize("backend", RUNTIMES)
def test_fine_meshes_are_as_on_xla(tmp_path, own_cache, backend):
    pytest.importorskip(RUNTIMES[backend], reason=f"needs the extra {backend}")
    # Maps of 32 x 32 texels, as the shipped SRNet takes them.
    affine = AffineNetConfig("resnet18", 0.125, (16, 8, 8), coarse_to_fine=True)
    path = saved(tmp_path, HandNetConfig(affine, sr=None, image_size=128))
    (picture,) = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), dtype=np.uint8)
    ours, theirs = (load_with_backend(path, name, fine=True)(picture) for name in ("xla", backend))
    assert ours.vertices_mm.shape == (25609, 3)
    np.testing.assert_allclose(theirs.vertices_mm, ours.vertices_mm, atol=0.01)
    plain = load_with_backend(path, backend)(picture)
    assert plain.vertices_mm.shape == (1609, 3)
    assert len(list(own_cache.glob(f"*.{backend}"))) == 2


@pytest.mark.parametrize("backend", ["xla", *RUNTIMES])
def test_an_srnet_alone_is_one_line(tmp_path, backend):
    path = saved(tmp_path, HandNetConfig(affine=None, sr=SRNetConfig((4,), (3, 3), size=64)))
    with pytest.raises(ValueError, match="an SRNet alone, which takes no pictures"):
        load_with_backend(path, backend)


def test_auto_takes_xla_for_what_litert_cannot_run(tiny_model_path, own_cache, monkeypatch):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the extra litert")
    path = str(tiny_model_path)
    monkeypatch.setattr(backends, "choose_backend", lambda wanted: "litert")
    assert load_fastest(path)[1] == "litert"

    def refuse(self):
        raise RuntimeError("node 3 failed to prepare.\nnode 3 failed to prepare.")

    monkeypatch.setattr(interpreter.Interpreter, "allocate_tensors", refuse)
    reason = "LiteRT fails on this model (node 3 failed to prepare.)"
    # With the export in the cache and without.
    (kept,) = own_cache.glob("*.litert")
    predictor, backend = load_fastest(path)
    assert backend == f"xla, as {reason}"
    assert predictor(np.zeros((60, 60, 3), np.uint8)).vertices_mm.shape[-1] == 3
    kept.unlink()
    assert load_fastest(path)[1] == f"xla, as {reason}"
    with pytest.raises(UnsupportedModelError) as refused:
        load_with_backend(path, "litert")
    assert str(refused.value) == reason


def test_what_a_converter_cannot_express_is_one_line():
    litert_graph = pytest.importorskip(
        "i2uv_jax.inference.litert_graph", reason="needs the extra litert", exc_type=ImportError
    )
    square = {"x": jax.ShapeDtypeStruct((3, 3), np.float32)}
    with pytest.raises(UnsupportedModelError, match=r"^LiteRT's converter fails .*custom_call.*$"):
        litert_graph.litert_model(lambda x: {"y": jnp.linalg.eigvalsh(x)}, square)
