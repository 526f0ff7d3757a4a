"""Reading scanned meshes from files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int

SCAN_SUFFIXES = (".obj", ".ply", ".glb", ".stl")

MAX_FILE_BYTES = 1_000_000_000
MAX_FACES = 10_000_000
_MIN_FACES = 100


class ScanError(ValueError):
    """A file that cannot be used; the message names it and the cause."""


@dataclass(frozen=True)
class Scan:
    """A triangle mesh in its own frame and unit; triangles face outwards."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]


def read_scan(path: Path) -> Scan:
    """Reads an OBJ, PLY, GLB or STL file; the meshes of a scene become one.

    Materials, textures and other files that it refers to are not looked at. Triangles that all
    face inwards are turned round.

    Raises:
      ScanError: it is missing, of another kind, empty, too large or broken, or holds no triangles.
    """
    suffix = path.suffix.lower()
    if suffix not in SCAN_SUFFIXES:
        raise ScanError(f"{path}: expected a mesh file ({', '.join(SCAN_SUFFIXES)})")
    try:
        num_bytes = path.stat().st_size
        if num_bytes == 0:
            raise ScanError(f"{path}: the file is empty")
        if num_bytes > MAX_FILE_BYTES:
            raise ScanError(
                f"{path}: {num_bytes / 1e6:.0f} MB, at most {MAX_FILE_BYTES / 1e6:.0f} are read"
            )
        with open(path, "rb") as file:
            mesh = _parse(path, file, suffix)
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _checked(path, mesh)


def _parse(path, file, suffix) -> trimesh.Trimesh:
    try:
        # From the open file there is no way to others that it names. Vertices stay unmerged.
        scene = trimesh.load_scene(file, file_type=suffix[1:], process=False, skip_materials=True)
        return scene.to_mesh()
    except OSError:
        raise
    except Exception as error:  # trimesh's readers raise whatever a broken file leads them to.
        cause = " ".join(str(error).split())[:120] or type(error).__name__
        raise ScanError(f"{path}: no readable {suffix[1:].upper()} mesh ({cause})") from error


def _checked(path, mesh) -> Scan:
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if len(faces) > MAX_FACES:
        raise ScanError(f"{path}: {len(faces)} triangles, at most {MAX_FACES} are fitted")
    if len(faces) < _MIN_FACES:
        raise ScanError(
            f"{path}: {len(faces)} triangles, a hand needs at least {_MIN_FACES} "
            "(bare point clouds have none)"
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ScanError(f"{path}: a triangle names a vertex that is not there")
    if not np.isfinite(vertices[faces]).all():
        raise ScanError(f"{path}: a vertex is not finite")
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    area_vectors = np.cross(b - a, c - a)
    area = np.linalg.norm(area_vectors, axis=1)
    if not area.sum() > 0:
        raise ScanError(f"{path}: its triangles have no area")
    middles = (a + b + c) / 3
    outwards = ((middles - np.average(middles, axis=0, weights=area)) * area_vectors).sum()
    return Scan(vertices, faces if outwards > 0 else faces[:, ::-1])
