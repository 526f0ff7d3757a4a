"""The UV atlas of a mesh: which point of the texture square shows which point of the surface."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Atlas:
    """Triangles in texture space beside the same triangles in mesh space (NumPy, immutable).

    Two atlases are equal only if they are the same object, so that one can key a cache.
    """

    uv: Float[np.ndarray, "t 2"]
    """Texture coordinates, 0 to 1, u right and v DOWN: row 0 of a UV map is v = 0."""
    faces: Int[np.ndarray, "f 3"]
    """Vertex indices, counter-clockwise seen from outside."""
    faces_uv: Int[np.ndarray, "f 3"]
    """Indices into `uv`, corner by corner beside `faces`."""
    num_vertices: int

    def __post_init__(self):
        for name, indices, limit in (
            ("faces", self.faces, self.num_vertices),
            ("faces_uv", self.faces_uv, len(self.uv)),
        ):
            if indices.ndim != 2 or indices.shape[1] != 3:
                raise ValueError(f"{name} must have shape (f, 3), got {indices.shape}")
            if indices.size and not 0 <= indices.min() <= indices.max() < limit:
                raise ValueError(f"{name} must index {limit} entries, got {indices.max()}")
        if self.faces.shape != self.faces_uv.shape:
            raise ValueError(
                f"faces and faces_uv must have one shape, got {self.faces.shape} "
                f"and {self.faces_uv.shape}"
            )
        if not np.isfinite(self.uv).all() or self.uv.min() < 0 or self.uv.max() > 1:
            raise ValueError("uv must be finite and lie between 0 and 1")
        unmapped = self.num_vertices - len(np.unique(self.faces))
        if unmapped:
            raise ValueError(f"{unmapped} of {self.num_vertices} vertices have no UV coordinates")

    @cached_property
    def vertex_of_uv(self) -> Int[np.ndarray, "t"]:
        """The vertex that each UV coordinate belongs to (a seam vertex has several)."""
        owner = np.zeros(len(self.uv), np.int32)
        owner[self.faces_uv.ravel()] = self.faces.ravel()
        return owner

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that differ between atlases: UV maps mean nothing on another one."""
        digest = hashlib.sha256(self.uv.astype("<f4").tobytes())
        for indices in (self.faces, self.faces_uv):
            digest.update(indices.astype("<i4").tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def from_obj(cls, path: str | Path) -> "Atlas":
        """Reads a Wavefront OBJ with texture coordinates (`vt`, v upwards); quads are split.

        This is how an atlas for another topology, such as MANO's, enters. Vertex order is kept.

        Raises:
          ValueError: the file cannot be read as such an OBJ; the message names file and line.
        """
        path = Path(path)
        uv, faces, faces_uv = [], [], []
        num_vertices = 0
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
        for number, line in enumerate(lines, start=1):
            kind, *fields = line.split() or [""]
            try:
                if kind == "v":
                    num_vertices += 1
                elif kind == "vt":
                    uv.append((float(fields[0]), 1 - float(fields[1])))
                elif kind == "f":
                    corners = [_corner_indices(field, num_vertices, len(uv)) for field in fields]
                    for second in range(1, len(corners) - 1):
                        triangle = corners[0], corners[second], corners[second + 1]
                        faces.append([vertex for vertex, _ in triangle])
                        faces_uv.append([coordinate for _, coordinate in triangle])
            except (ValueError, IndexError) as error:
                raise ValueError(f"{path}:{number}: no valid OBJ line ({error})") from error
        if not faces:
            raise ValueError(f"{path}: holds no face with texture coordinates (f v/vt ...)")
        try:
            return cls(
                uv=np.array(uv, np.float64),
                faces=np.array(faces, np.int32),
                faces_uv=np.array(faces_uv, np.int32),
                num_vertices=num_vertices,
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _corner_indices(field: str, num_vertices: int, num_uv: int) -> tuple[int, int]:
    """Zero-based (vertex, texture) indices of a corner `v/vt[/vn]`; negative ones count back."""
    parts = field.split("/")
    if len(parts) < 2 or not parts[1]:
        raise ValueError(f"corner {field!r} has no texture coordinate")
    vertex, coordinate = int(parts[0]), int(parts[1])
    return (
        vertex - 1 if vertex > 0 else num_vertices + vertex,
        coordinate - 1 if coordinate > 0 else num_uv + coordinate,
    )
