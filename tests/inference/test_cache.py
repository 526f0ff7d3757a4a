"""The user's cache folder: where it is, that settings of JAX's own win, that it may be missing."""

import jax
import pytest

from i2uv_jax.inference.cache import keep_compiled_programs, user_cache_folder

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def no_setting():
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept_below_the_users_cache(no_setting, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "i2uv_jax" / "xla")
    jax.config.update("jax_compilation_cache_dir", "/of/the/user")
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == "/of/the/user"


def test_without_xdg_it_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for useless in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", useless)
        assert user_cache_folder() == tmp_path / ".cache" / "i2uv_jax"


def test_a_folder_that_cannot_be_written_is_done_without(no_setting, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert user_cache_folder() is None
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir is None
