"""Files are written whole or not at all."""

import os
import stat

import pytest

from i2uv_jax.atomic_file import write_atomically


def test_content_and_rights(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert (tmp_path / "a.bin").stat().st_mode == plain.stat().st_mode
    assert stat.S_ISREG((tmp_path / "a.bin").stat().st_mode)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("disk full")])
def test_interruption_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, interruption):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupted(*_):
        raise interruption

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_missing_folder(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_atomically(tmp_path / "none" / "a.bin", b"")
