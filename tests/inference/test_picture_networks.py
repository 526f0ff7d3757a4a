"""The networks of `palm` on XLA and on LiteRT."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from i2uv_jax.inference import hand_detector, picture_networks
from i2uv_jax.inference.drawn_photos import draw_photo
from i2uv_jax.inference.hand_detector import load_detector
from i2uv_jax.inference.picture_networks import PictureNetworks, load_picture_networks
from i2uv_jax.inference.runtime_errors import UnsupportedModelError


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """A cache folder for exports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def on_litert(own_cache):
    pytest.importorskip("litert_converter", reason="needs the extra litert")
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    return load_picture_networks("litert")


@pytest.fixture(scope="module")
def on_xla():
    return load_picture_networks("xla")


@pytest.mark.parametrize("kind", PictureNetworks._fields)
def test_litert_tells_the_same_as_xla(on_litert, on_xla, kind):
    theirs, ours = getattr(on_litert, kind), getattr(on_xla, kind)
    size = ours.image_size
    assert theirs.image_size == size
    pixels = draw_photo(4 * size // 3, size, 2)[:, :size]
    told, expected = vars(theirs(pixels)), vars(ours(pixels))
    assert told.keys() == expected.keys()
    for name, values in expected.items():
        assert told[name].shape == values.shape
        np.testing.assert_allclose(told[name], values, atol=2e-3, err_msg=name)


def test_threads_that_ask_at_once_are_each_answered(on_litert):
    network = on_litert.landmark
    size = network.image_size
    pictures = [draw_photo(4 * size // 3, size, seed)[:, :size] for seed in range(6)]
    expected = [network(picture) for picture in pictures]
    start = threading.Barrier(len(pictures))

    def ask(picture):
        start.wait()
        return [network(picture).keypoints for _ in range(5)]

    with ThreadPoolExecutor(len(pictures)) as threads:
        answers = list(threads.map(ask, pictures))
    for answer, one in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer, np.broadcast_to(one.keypoints, (5, 21, 3)))


def test_auto_falls_back_where_litert_cannot_run_them(monkeypatch):
    photo = np.zeros((64, 64, 3), np.uint8)
    monkeypatch.setattr(hand_detector, "choose_backend", lambda wanted: "litert")

    def load(backend):
        if backend == "litert":
            raise UnsupportedModelError("LiteRT", "node 3 failed to prepare.")
        return load_picture_networks(backend)

    monkeypatch.setattr(hand_detector, "load_picture_networks", load)
    assert load_detector(backend="auto")(photo) == []
    with pytest.raises(UnsupportedModelError, match=r"LiteRT fails .*\(node 3"):
        load_detector(backend="litert")


@pytest.mark.parametrize("is_exported", [False, True])
def test_a_runtime_that_is_not_installed_is_named(request, monkeypatch, tmp_path, is_exported):
    if is_exported:
        request.getfixturevalue("on_litert")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Modules of ours that import them count as not imported either.
    module = "litert_interpreters" if is_exported else "litert_graph"
    monkeypatch.setitem(sys.modules, f"i2uv_jax.inference.{module}", None)
    if is_exported:
        monkeypatch.setattr(picture_networks, "export_picture_network", None)  # nor made anew
    with pytest.raises(ValueError, match=r'litert: not installed .*pip install "i2uv-jax\[litert'):
        load_detector(backend="litert")


@pytest.mark.parametrize("backend", ["onnx", "foo"])
def test_an_unknown_backend_is_one_line(backend):
    with pytest.raises(
        ValueError, match=f"^backend: expected auto, xla or litert, got '{backend}'"
    ):
        load_detector(backend=backend)
