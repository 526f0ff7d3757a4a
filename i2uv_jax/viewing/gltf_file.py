"""Binary glTF 2.0 files (.glb): a JSON chunk of lists of entries, and a chunk of their numbers.

Written here and not with a library because a folder's meshes are written while a network wants the
same cores: general writers take several times as long for the same bytes.
"""

import json
import struct

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.viewing.png import png_bytes

CAMERA_TO_GLTF = np.array([1.0, -1.0, -1.0])
"""Factors of x, y and z from the camera frame (x right, y down, z away) to glTF's, in which y is up
and z comes towards the viewer: half a turn about x."""

# Constants of the glTF 2.0 specification, sections 3.6 and 5.1.
_COMPONENTS = {"<f4": 5126, "|u1": 5121, "<u2": 5123, "<u4": 5125}
_VERTICES, _INDICES = 34962, 34963
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_ALIGNMENT = 4


class GltfFile:
    """A file that grows entry by entry; entries refer to earlier ones by the numbers they got."""

    def __init__(self) -> None:
        self._lists: dict[str, list[dict]] = {}
        self._binary = bytearray()

    def add(self, kind: str, entry: dict) -> int:
        """Appends to the list of that name ("nodes", "meshes", ...); returns the entry's number."""
        entries = self._lists.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def add_vectors(self, values: Float[np.ndarray, "n d"], *, bounds: bool = False) -> int:
        """The number of an accessor of values for vertices, stored as float32.

        Args:
          bounds: tell the smallest and largest of each component, as positions must.
        """
        return self._add_accessor(values.astype("<f4"), target=_VERTICES, bounds=bounds)

    def add_joint_indices(self, joints: Int[np.ndarray, "n 4"]) -> int:
        """The number of an accessor of the joints that move each vertex, below 256."""
        return self._add_accessor(joints.astype("|u1"), target=_VERTICES)

    def add_triangles(self, faces: Int[np.ndarray, "f 3"]) -> int:
        """The number of an accessor of vertex indices."""
        is_short = faces.max() < 0xFFFF  # which itself is reserved
        indices = faces.ravel().astype("<u2" if is_short else "<u4")
        return self._add_accessor(indices, target=_INDICES)

    def add_matrices(self, matrices: Float[np.ndarray, "n 4 4"]) -> int:
        """The number of an accessor of matrices that are multiplied with columns from the left."""
        return self._add_accessor(np.swapaxes(matrices, 1, 2).astype("<f4"))

    def add_keyframes(self, values: Float[np.ndarray, "n ..."]) -> int:
        """The number of an accessor of an animation's times in seconds, or of its values then."""
        return self._add_accessor(values.astype("<f4"), bounds=values.ndim == 1)

    def add_texture(self, picture: UInt8[np.ndarray, "h w 3"]) -> int:
        """The number of a texture, its picture embedded."""
        view = self._add_view(png_bytes(picture))
        image = self.add("images", {"bufferView": view, "mimeType": "image/png"})
        return self.add("textures", {"source": image})

    def content(self) -> bytes:
        """The file; the same entries give the same bytes."""
        below = {child for node in self._lists["nodes"] for child in node.get("children", ())}
        roots = [number for number in range(len(self._lists["nodes"])) if number not in below]
        description = {
            "asset": {"version": "2.0", "generator": "i2uv_jax"},
            "scene": 0,
            "scenes": [{"nodes": roots}],
            **self._lists,
            "buffers": [{"byteLength": len(self._binary)}],
        }
        text = json.dumps(description, separators=(",", ":")).encode()
        chunks = _chunk(b"JSON", text, b" ") + _chunk(b"BIN\0", bytes(self._binary), b"\0")
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _add_accessor(self, values, *, target: int | None = None, bounds: bool = False) -> int:
        values = np.ascontiguousarray(values)
        entry = {
            "componentType": _COMPONENTS[values.dtype.str],
            "count": len(values),
            "type": _TYPES[values.shape[1:]],
        }
        if bounds:
            low, high = np.atleast_1d(values.min(axis=0)), np.atleast_1d(values.max(axis=0))
            entry |= {"min": low.tolist(), "max": high.tolist()}
        view = self._add_view(values.tobytes(), target=target)
        return self.add("accessors", {"bufferView": view, **entry})

    def _add_view(self, content: bytes, target: int | None = None) -> int:
        entry = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content)}
        self._binary += _padded(content, b"\0")
        return self.add("bufferViews", entry if target is None else {**entry, "target": target})


def _chunk(kind: bytes, content: bytes, filler: bytes) -> bytes:
    content = _padded(content, filler)
    return struct.pack("<I4s", len(content), kind) + content


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % _ALIGNMENT)
