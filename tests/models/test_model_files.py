"""Names and paths of models."""

import pytest

from i2uv_jax.models import model_files
from i2uv_jax.models.model_files import UnknownModelError, available_models, find_model


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("small", "large"):
        (folder / f"{name}.safetensors").touch()
    monkeypatch.setattr(model_files, "WEIGHTS_DIRECTORY", folder)
    return folder


def test_names_come_from_the_package(shipped):
    assert available_models() == ("large", "small")
    assert find_model("small") == shipped / "small.safetensors"


def test_unknown_name_gives_near_matches_and_the_list(shipped):
    with pytest.raises(UnknownModelError) as error:
        find_model("smal")
    expected = "no model named 'smal': did you mean small? available: large, small"
    assert str(error.value) == expected


def test_paths(shipped, tmp_path, monkeypatch):
    file = tmp_path / "mine.safetensors"
    file.touch()
    assert find_model(file) == file
    assert find_model(str(file)) == file
    monkeypatch.chdir(tmp_path)
    assert find_model("mine.safetensors").samefile(file)
    for wrong, cause in {"none.safetensors": "no such", "weights/": "is a directory"}.items():
        with pytest.raises(UnknownModelError, match=cause):
            find_model(wrong)


def test_no_model_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "WEIGHTS_DIRECTORY", tmp_path / "none")
    with pytest.raises(UnknownModelError, match="available: none"):
        find_model("small")
