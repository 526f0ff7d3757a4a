"""Binary glTF 2.0 files (.glb): a JSON chunk of lists of entries, and a chunk of their numbers.

Written here and not with a library because a folder's meshes are written while a network wants the
same cores: general writers take several times as long for the same bytes.
"""

import json
import struct

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.viewing.png import png_bytes

# Constants of the glTF 2.0 specification, sections 3.6 and 5.1.
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}
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
        values = np.ascontiguousarray(values, "<f4")
        entry = {"componentType": _FLOAT, "count": len(values), "type": _TYPES[values.shape[1]]}
        if bounds:
            entry["min"], entry["max"] = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        view = self._add_view(values.tobytes(), target=_VERTICES)
        return self.add("accessors", {"bufferView": view, **entry})

    def add_triangles(self, faces: Int[np.ndarray, "f 3"]) -> int:
        """The number of an accessor of vertex indices."""
        is_short = faces.max() < 0xFFFF  # which itself is reserved
        view = self._add_view(faces.astype("<u2" if is_short else "<u4").tobytes(), target=_INDICES)
        return self.add(
            "accessors",
            {
                "bufferView": view,
                "componentType": _UINT16 if is_short else _UINT32,
                "count": faces.size,
                "type": _TYPES[1],
            },
        )

    def add_texture(self, picture: UInt8[np.ndarray, "h w 3"]) -> int:
        """The number of a texture, its picture embedded."""
        view = self._add_view(png_bytes(picture))
        image = self.add("images", {"bufferView": view, "mimeType": "image/png"})
        return self.add("textures", {"source": image})

    def content(self) -> bytes:
        """The file, in which every node stands by itself; the same entries give the same bytes."""
        description = {
            "asset": {"version": "2.0", "generator": "i2uv_jax"},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self._lists["nodes"])))}],
            **self._lists,
            "buffers": [{"byteLength": len(self._binary)}],
        }
        text = json.dumps(description, separators=(",", ":")).encode()
        chunks = _chunk(b"JSON", text, b" ") + _chunk(b"BIN\0", bytes(self._binary), b"\0")
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _add_view(self, content: bytes, target: int | None = None) -> int:
        entry = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content)}
        self._binary += _padded(content, b"\0")
        return self.add("bufferViews", entry if target is None else {**entry, "target": target})


def _chunk(kind: bytes, content: bytes, filler: bytes) -> bytes:
    content = _padded(content, filler)
    return struct.pack("<I4s", len(content), kind) + content


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % _ALIGNMENT)
