"""Exports in the user's cache: until when they are kept, and which make room for others."""

import os

from i2uv_jax.inference import kept_exports
from i2uv_jax.inference.kept_exports import code_digest, kept_network


def test_code_has_another_digest_once_it_or_the_hand_changes(tmp_path):
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "hand" / "data").mkdir(parents=True)
    (package / "cli").mkdir()

    def digest(name, content):
        (package / name).write_bytes(content)
        code_digest.cache_clear()
        return code_digest(package)

    seen = [
        digest("models/net.py", b"a"),
        digest("models/net.py", b"b"),
        digest("models/other.py", b""),
        digest("hand/data/hand.npz", b"a"),
        digest("hand/data/hand.npz", b"b"),
    ]
    assert len(set(seen)) == len(seen)
    assert digest("cli/main.py", b"a") == digest("models/net.pyc", b"a") == seen[-1]


def test_an_export_is_kept_until_code_or_converter_change(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "it.safetensors"
    model.write_bytes(b"weights")
    exports = []

    def export():
        exports.append(b"graph")
        return exports[-1]

    monkeypatch.setattr(kept_exports, "open_content", lambda content: (content, None))

    def count():
        assert kept_network("onnx", [model], export) == b"graph"
        return len(exports)

    assert (count(), count()) == (1, 1)
    monkeypatch.setattr(kept_exports, "code_digest", lambda package: "of other code")
    assert (count(), count()) == (2, 2)
    monkeypatch.setattr(kept_exports.metadata, "version", lambda name: f"another {name}")
    assert (count(), count()) == (3, 3)


def test_old_exports_make_room_for_new_ones(tmp_path):
    names = [f"{number}.onnx" for number in range(kept_exports._MAX_EXPORTS + 2)]
    for age, name in enumerate(reversed(names)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "0.litert").touch()
    kept_exports._drop_oldest(tmp_path / names[-1])
    assert {path.name for path in tmp_path.iterdir()} == {*names[2:], "0.litert"}
