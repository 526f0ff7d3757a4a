"""Which model file a name stands for."""

import difflib
import hashlib
import os
from pathlib import Path

WEIGHTS_DIRECTORY = Path(__file__).parent.parent / "weights"
"""Where the models that the package ships lie, as NAME.safetensors."""

MODEL_SUFFIX = ".safetensors"

DETECTOR, PALM_NET, LANDMARK_NET = "detector", "palm_net", "landmark_net"
"""Names of the files in `WEIGHTS_DIRECTORY` that find hands, palms and keypoints; no models of
hands' surfaces."""

FINE_SRNET = "fine"
"""Name of the SRNet that `i2uv predict --fine` puts behind a model (configs/fine.py)."""


class UnknownModelError(ValueError):
    """No model has this name and no file this path; the message is one line."""


def available_models() -> tuple[str, ...]:
    """Names of the models of hands in pictures that come with the package, sorted."""
    names = {path.stem for path in WEIGHTS_DIRECTORY.glob(f"*{MODEL_SUFFIX}")}
    return tuple(sorted(names - {DETECTOR, PALM_NET, LANDMARK_NET, FINE_SRNET}))


def shipped_file(name: str) -> Path:
    """The file of a network that comes with the package."""
    return WEIGHTS_DIRECTORY / (name + MODEL_SUFFIX)


def find_model(name_or_path: str | os.PathLike) -> Path:
    """The file of a model that is given by the name of a shipped one or by a path.

    Anything with a directory separator or the suffix .safetensors is a path.

    Raises:
      UnknownModelError: neither; the message lists the names there are, near matches first.
    """
    text = os.fspath(name_or_path)
    path = Path(text)
    looks_like_path = (
        not isinstance(name_or_path, str)
        or os.sep in text
        or (os.altsep is not None and os.altsep in text)
        or path.suffix == MODEL_SUFFIX
    )
    if looks_like_path:
        if not path.exists():
            raise UnknownModelError(f"{path}: no such model file")
        if path.is_dir():
            raise UnknownModelError(
                f"{path}: is a directory, expected a model file ({MODEL_SUFFIX})"
            )
        return path
    names = available_models()
    if text in (*names, FINE_SRNET):
        return shipped_file(text)
    if path.is_file():
        return path
    near = difflib.get_close_matches(text.lower(), names, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    there = ", ".join(names) if names else "none"
    raise UnknownModelError(f"no model named {text!r}: {hint}available: {there}")


def file_fingerprint(path: Path) -> str:
    """Tells one file from another of the same name: 16 digits of its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
