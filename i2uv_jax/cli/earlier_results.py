"""Which files of an output folder an earlier run wrote, and which are somebody else's: only the
former are ever replaced or removed."""

import json
import os
import re
from pathlib import Path

_JSON_START = b'{\n "image": '
"""Of the numbers that `hand_files.write_hand_files` writes for a photo."""

_GLB_MARK = b'"generator":"i2uv_jax"'
_GLB_HEAD = 200
"""Bytes from the start of a mesh within which the mark stands."""


def holds_others_files(folder: Path, stem: str) -> bool:
    """Whether STEM.json, STEM.glb or STEM.png would replace what is no earlier result."""
    mesh, panel = folder / f"{stem}.glb", folder / f"{stem}.png"
    numbers = _head(folder / f"{stem}.json", len(_JSON_START))
    if is_others_mesh(mesh) or numbers not in (None, _JSON_START):
        return True
    if not os.path.lexists(panel):
        return False
    # The numbers come last: without them a run may have been killed behind the mesh.
    if numbers is None:
        return not os.path.lexists(mesh)
    return _numbers_of(folder, stem).get("panel") != panel.name


def is_own_mesh(path: Path) -> bool:
    """Whether there is a mesh that this package wrote."""
    head = _head(path, _GLB_HEAD)
    return head is not None and _GLB_MARK in head


def is_others_mesh(path: Path) -> bool:
    """Whether there is something that this package did not write."""
    return os.path.lexists(path) and not is_own_mesh(path)


def files_named_before(folder: Path, stem: str) -> set[Path]:
    """Meshes and panel that STEM.json of `hand_files.write_hand_files` names; none if it is missing
    or somebody else's."""
    numbers = _numbers_of(folder, stem)
    try:
        names = {str(hand["mesh"]) for hand in numbers["hands"]}
    except (LookupError, TypeError):
        return set()
    own = re.compile(rf"{re.escape(stem)}(_hand)*_\d+\.glb")
    found = {folder / name for name in names if own.fullmatch(name)}
    if names:
        found.add(folder / f"{stem}.glb")
    if numbers.get("panel") == f"{stem}.png":
        found.add(folder / f"{stem}.png")
    return found


def head_of_tracks(path: Path) -> dict | None:
    """The first of the JSON lines that `i2uv track` wrote; None of another file, or without one."""
    try:
        with open(path, encoding="utf-8") as lines:
            head = json.loads(lines.readline())
        return head if {"video", "frames_per_second"} <= head.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _numbers_of(folder: Path, stem: str) -> dict:
    """What STEM.json says; nothing if it is missing or no object."""
    try:
        numbers = json.loads((folder / f"{stem}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return numbers if isinstance(numbers, dict) else {}


def _head(path: Path, size: int) -> bytes | None:
    """The first bytes of a file; None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        # Of what is there and cannot be read nothing is known.
        return b"" if os.path.lexists(path) else None
