"""Meshes as binary glTF (.glb), the format that viewers, browsers and Blender open.

The file is in metres in glTF's frame: x right, y up, z towards the viewer. From the camera frame
(x right, y down, z away) that is half a turn about x, (x, y, z) -> (x, -y, -z): a rotation, so the
triangles keep their winding. Origin is the wrist, of several hands the first one's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, UInt8

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.host_normals import vertex_normals
from i2uv_jax.hand.rig import Rig
from i2uv_jax.viewing.glb_skeleton import (
    HandMotion,
    Skeleton,
    add_motion,
    add_skeleton,
    add_skin_attributes,
)
from i2uv_jax.viewing.gltf_file import CAMERA_TO_GLTF, GltfFile


@lru_cache(maxsize=8)
def split_at_seams(
    atlas: Atlas,
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n 2"], Int[np.ndarray, "f 3"]]:
    """One vertex for each pair of a vertex and a texture coordinate, as glTF needs.

    Returns:
      The mesh vertex that each new vertex copies, its texture coordinate (y down), and the faces
      over the new vertices. All hands of a folder share them, so they are kept.
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
    rig: Rig | None = None
    """Of `vertices_mm`: the mesh is then stored at rest, on a skeleton in that pose."""
    motion: HandMotion | None = None
    """Of a rig; its wrists stand in for `wrist_mm`."""
    name: str | None = None
    """Of its mesh and its node."""


def glb_bytes(hands: Sequence[SceneHand], atlas: Atlas) -> bytes:
    """A GLB file with a mesh for each hand: normals, texture coordinates and a texture.

    Where no name is given the node of a single hand's mesh is called "hand", those of several
    "hand_1", "hand_2", ... All motions are one animation, "hands".

    Args:
      atlas: triangles in mesh and in texture space, of all hands.

    Returns:
      The file's bytes; the same input gives the same bytes.
    """
    file = GltfFile()
    animation: dict = {"name": "hands", "channels": [], "samplers": []}
    for number, hand in enumerate(hands, start=1):
        name = hand.name or ("hand" if len(hands) == 1 else f"hand_{number}")
        if hand.rig is None:
            _add_hand(file, name, hand, atlas)
        else:
            skeleton = _add_rigged_hand(file, name, hand, hand.rig, atlas)
            if hand.motion is not None:
                add_motion(file, animation, skeleton, hand.motion)
    if animation["channels"]:
        file.add("animations", animation)
    return file.content()


def _add_hand(file: GltfFile, name: str, hand: SceneHand, atlas: Atlas) -> None:
    vertices = hand.vertices_mm / 1000 * CAMERA_TO_GLTF
    node = {"name": name, "mesh": _add_mesh(file, name, vertices, hand, atlas)}
    if any(hand.wrist_mm):
        node["translation"] = (np.array(hand.wrist_mm) / 1000 * CAMERA_TO_GLTF).tolist()
    file.add("nodes", node)


def _add_rigged_hand(
    file: GltfFile, name: str, hand: SceneHand, rig: Rig, atlas: Atlas
) -> Skeleton:
    mesh = _add_mesh(file, name, rig.rest_vertices / 1000, hand, atlas, is_skinned=True)
    skeleton = add_skeleton(file, rig, rig.wrist + np.array(hand.wrist_mm))
    file.add("nodes", {"name": name, "mesh": mesh, "skin": skeleton.skin})
    return skeleton


def _add_mesh(
    file: GltfFile,
    name: str,
    vertices: Float[np.ndarray, "v 3"],
    hand: SceneHand,
    atlas: Atlas,
    *,
    is_skinned: bool = False,
) -> int:
    """Adds the mesh whose vertices are given in metres, in its node's frame."""
    sources, uv, faces = split_at_seams(atlas)
    welded_faces = atlas.faces
    if hand.is_left:
        faces, welded_faces = faces[:, ::-1], welded_faces[:, ::-1]
    # Normals of the unsplit mesh, so that no edge shows along the seams.
    normals = vertex_normals(vertices, welded_faces)
    material = {
        "name": "uv_position_map",
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": file.add_texture(hand.texture)},
            "metallicFactor": 0.0,
            "roughnessFactor": 0.7,
        },
    }
    primitive = {
        "attributes": {
            "POSITION": file.add_vectors(vertices[sources], bounds=True),
            "NORMAL": file.add_vectors(normals[sources]),
            "TEXCOORD_0": file.add_vectors(uv),
            **(add_skin_attributes(file, len(vertices), sources) if is_skinned else {}),
        },
        "indices": file.add_triangles(faces),
        "material": file.add("materials", material),
    }
    return file.add("meshes", {"name": name, "primitives": [primitive]})
