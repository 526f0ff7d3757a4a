"""Meshes as binary glTF (.glb), the format that viewers, browsers and Blender open.

The file is in metres in glTF's frame: x right, y up, z towards the viewer. From the camera frame
(x right, y down, z away) that is half a turn about x, (x, y, z) -> (x, -y, -z): a rotation, so the
triangles keep their winding. Origin is the wrist, of several hands the first one's.

Written here and not by trimesh: all hands share their triangles and texture coordinates, whose
bytes are made once, and a folder of photos has thousands of hands.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.viewing.png import png_bytes

CAMERA_TO_GLTF = np.array([1.0, -1.0, -1.0])
"""Factors of x, y and z from the camera frame to glTF's."""

# Names of glTF 2.0's numbers.
_COMPONENT_TYPES = {np.uint16: 5123, np.uint32: 5125, np.float32: 5126}
_ELEMENT_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963


def split_at_seams(
    atlas: Atlas,
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n 2"], Int[np.ndarray, "f 3"]]:
    """One vertex for each pair of a vertex and a texture coordinate, as glTF needs.

    Returns:
      The mesh vertex that each new vertex copies, its texture coordinate (y down), and the faces
      over the new vertices.
    """
    corners = np.stack([atlas.faces.ravel(), atlas.faces_uv.ravel()], axis=-1)
    pairs, inverse = np.unique(corners, axis=0, return_inverse=True)
    return pairs[:, 0], atlas.uv[pairs[:, 1]], inverse.reshape(-1, 3)


@dataclass(frozen=True)
class SceneHand:
    """One hand of a file."""

    vertices_mm: Float[np.ndarray, "v 3"]
    """In the camera frame, relative to the hand's own wrist."""
    texture: UInt8[np.ndarray, "m m 3"]
    """Laid over the texture square, row 0 at v = 0. (Its pixels are areas, while a UV map's texels
    are points: half a texel of difference, invisible at this size.)"""
    is_left: bool = False
    """The vertices are a left hand's, mirrored from the atlas's right hand, so that the triangles'
    winding is reversed."""
    wrist_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the wrist stands, camera frame."""


@dataclass(frozen=True)
class _Topology:
    """What all hands of an atlas have in common, as it is written."""

    sources: Int[np.ndarray, "n"]
    uv: Float[np.ndarray, "n 2"]
    indices: dict[bool, Int[np.ndarray, "i 1"]]
    """Three a triangle, of right hands (False) and left ones (True)."""


@lru_cache(maxsize=8)
def _topology(atlas: Atlas) -> _Topology:
    sources, uv, faces = split_at_seams(atlas)
    # The largest number of a type is no index, but ends a strip.
    faces = faces.astype(np.uint16 if len(sources) < 2**16 else np.uint32)
    indices = {False: faces.reshape(-1, 1), True: faces[:, ::-1].reshape(-1, 1)}
    return _Topology(sources, uv.astype(np.float32), indices)


def glb_bytes(hands: Sequence[SceneHand], atlas: Atlas) -> bytes:
    """A GLB file with one node a hand: normals, texture coordinates and a texture.

    The node of a single hand is called "hand", those of several "hand_1", "hand_2", ...

    Args:
      atlas: triangles in mesh and in texture space, of all hands.

    Returns:
      The file's bytes; the same input gives the same bytes.
    """
    document = _Document()
    for number, hand in enumerate(hands, start=1):
        document.add_hand("hand" if len(hands) == 1 else f"hand_{number}", hand, atlas)
    return document.to_bytes()


class _Document:
    """A glTF file in the making: its JSON, and the binary chunk that this describes."""

    def __init__(self) -> None:
        self._json = {
            "asset": {"version": "2.0", "generator": "i2uv_jax"},
            "scene": 0,
            "scenes": [{"nodes": []}],
            **{
                name: []
                for name in (
                    "nodes", "meshes", "materials", "textures", "images", "accessors", "bufferViews"
                )
            },
        }  # fmt: skip
        self._chunks: list[bytes] = []
        self._length = 0
        self._views: dict[bytes, int] = {}

    def add_hand(self, name: str, hand: SceneHand, atlas: Atlas) -> None:
        """Adds a node with a mesh of its own; what hands have in common is there once."""
        topology = _topology(atlas)
        vertices = hand.vertices_mm / 1000 * CAMERA_TO_GLTF
        # Normals of the unsplit mesh, so that no edge shows along the seams.
        welded_faces = atlas.faces[:, ::-1] if hand.is_left else atlas.faces
        normals = vertex_normals(vertices, welded_faces)
        image = {"bufferView": self._view(png_bytes(hand.texture)), "mimeType": "image/png"}
        texture = {"source": self._add("images", image)}
        material = {
            "name": "uv_position_map",
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": self._add("textures", texture)},
                "metallicFactor": 0.0,
                "roughnessFactor": 0.7,
            },
        }
        positions, normals = vertices.astype(np.float32), normals.astype(np.float32)
        primitive = {
            "attributes": {
                # Of positions glTF wants to know the bounds.
                "POSITION": self._accessor(
                    positions[topology.sources],
                    min=positions.min(axis=0).tolist(),
                    max=positions.max(axis=0).tolist(),
                ),
                "NORMAL": self._accessor(normals[topology.sources]),
                "TEXCOORD_0": self._accessor(topology.uv),
            },
            "indices": self._accessor(topology.indices[hand.is_left], _ELEMENT_ARRAY_BUFFER),
            "material": self._add("materials", material),
        }
        node = {
            "name": name,
            "mesh": self._add("meshes", {"name": name, "primitives": [primitive]}),
        }
        if any(hand.wrist_mm):
            node["translation"] = (np.array(hand.wrist_mm) / 1000 * CAMERA_TO_GLTF).tolist()
        self._json["scenes"][0]["nodes"].append(self._add("nodes", node))

    def to_bytes(self) -> bytes:
        """The file: a header, the JSON and the binary chunk."""
        described = {**self._json, "buffers": [{"byteLength": self._length}]}
        text = json.dumps(described, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self._length
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, total),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", self._length, b"BIN\0"),
                *self._chunks,
            ]
        )

    def _add(self, kind: str, entry: dict) -> int:
        """Appends to one of the JSON's lists; the entry's place in it."""
        self._json[kind].append(entry)
        return len(self._json[kind]) - 1

    def _accessor(
        self, array: Shaped[np.ndarray, "n c"], target: int = _ARRAY_BUFFER, **bounds: list[float]
    ) -> int:
        """An array with one row an element; `bounds` are its `min` and `max`."""
        entry = {
            "bufferView": self._view(array.tobytes(), target),
            "componentType": _COMPONENT_TYPES[array.dtype.type],
            "count": len(array),
            "type": _ELEMENT_TYPES[array.shape[1]],
            **bounds,
        }
        return self._add("accessors", entry)

    def _view(self, data: bytes, target: int | None = None) -> int:
        """Bytes of the chunk; the same ones only once."""
        if data not in self._views:
            entry = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
            self._views[data] = self._add(
                "bufferViews", entry if target is None else {**entry, "target": target}
            )
            # Each begins at a multiple of four bytes, as floats have to.
            padded = data + bytes(-len(data) % 4)
            self._chunks.append(padded)
            self._length += len(padded)
        return self._views[data]
