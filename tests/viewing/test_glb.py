"""Mesh files, read back with trimesh and, for the conventions, straight from their bytes."""

import io
import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.viewing.glb import SceneHand, glb_bytes, split_at_seams


def texture() -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return np.stack([4 * columns, 4 * rows, np.full_like(rows, 90)], -1).astype(np.uint8)


def hand_vertices_mm() -> np.ndarray:
    """The template in a camera frame (palm to the camera, fingers up), mm from the wrist."""
    hand = load_hand()
    vertices = 1000 * hand.template * np.array([1, -1, -1])
    return (vertices - hand.keypoint_regressor[0] @ vertices).astype(np.float32)


def parse_glb(content: bytes) -> tuple[dict, bytes]:
    """The JSON and the binary chunk of a GLB file, by the glTF 2.0 specification."""
    magic, version, length = struct.unpack("<4sII", content[:12])
    assert (magic, version, length) == (b"glTF", 2, len(content))
    json_length, kind = struct.unpack("<I4s", content[12:20])
    assert kind == b"JSON"
    description = json.loads(content[20 : 20 + json_length])
    start = 20 + json_length
    binary_length, kind = struct.unpack("<I4s", content[start : start + 8])
    assert kind == b"BIN\0"
    return description, content[start + 8 : start + 8 + binary_length]


def accessor(description: dict, binary: bytes, index: int) -> np.ndarray:
    entry = description["accessors"][index]
    view = description["bufferViews"][entry["bufferView"]]
    dtype = {5126: np.float32, 5125: np.uint32, 5123: np.uint16}[entry["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[entry["type"]]
    start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
    values = np.frombuffer(binary, dtype, entry["count"] * width, start)
    return values.reshape(-1, width)


@pytest.fixture(scope="module")
def written():
    return parse_glb(glb_bytes([SceneHand(hand_vertices_mm(), texture())], load_hand().atlas))


def test_gltf_frame_metres_and_winding(written):
    description, binary = written
    (primitive,) = description["meshes"][0]["primitives"]
    positions = accessor(description, binary, primitive["attributes"]["POSITION"])
    faces = accessor(description, binary, primitive["indices"]).reshape(-1, 3)
    sources, _, expected_faces = split_at_seams(load_hand().atlas)
    expected = hand_vertices_mm()[sources] / 1000 * [1, -1, -1]
    np.testing.assert_allclose(positions, expected, atol=1e-6)
    np.testing.assert_array_equal(faces, expected_faces)
    a, b, c = np.moveaxis(positions[faces].astype(np.float64), 1, 0)
    assert np.einsum("fd,fd->", a, np.cross(b, c)) > 0  # outward = counter-clockwise


def test_texture_coordinates_have_their_origin_at_the_top_left(written):
    # glTF 2.0: (0, 0) is the upper left corner of the image, as in the atlas.
    description, binary = written
    (primitive,) = description["meshes"][0]["primitives"]
    uv = accessor(description, binary, primitive["attributes"]["TEXCOORD_0"])
    _, expected, _ = split_at_seams(load_hand().atlas)
    np.testing.assert_allclose(uv, expected, atol=1e-6)


def test_texture_is_embedded(written):
    description, binary = written
    material = description["materials"][0]["pbrMetallicRoughness"]
    image = description["images"][
        description["textures"][material["baseColorTexture"]["index"]]["source"]
    ]
    view = description["bufferViews"][image["bufferView"]]
    start = view.get("byteOffset", 0)
    picture = Image.open(io.BytesIO(binary[start : start + view["byteLength"]]))
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), texture())


def test_normals_agree_across_seams(written):
    description, binary = written
    (primitive,) = description["meshes"][0]["primitives"]
    normals = accessor(description, binary, primitive["attributes"]["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-4)
    sources, _, _ = split_at_seams(load_hand().atlas)
    assert len(sources) > len(np.unique(sources))  # there are seams
    first = {}
    for source, normal in zip(sources, normals, strict=True):
        np.testing.assert_allclose(normal, first.setdefault(source, normal), atol=1e-5)


def test_trimesh_reads_it_back():
    content = glb_bytes([SceneHand(hand_vertices_mm(), texture())], load_hand().atlas)
    (mesh,) = trimesh.load_scene(io.BytesIO(content), file_type="glb").geometry.values()
    assert len(mesh.faces) == 3196
    np.testing.assert_array_equal(np.asarray(mesh.visual.material.baseColorTexture), texture())
    assert mesh.extents.max() == pytest.approx(np.ptp(hand_vertices_mm(), axis=0).max() / 1000)


def test_left_hand_faces_outwards():
    mirrored = hand_vertices_mm() * np.array([-1, 1, 1], np.float32)
    description, binary = parse_glb(
        glb_bytes([SceneHand(mirrored, texture(), is_left=True)], load_hand().atlas)
    )
    (primitive,) = description["meshes"][0]["primitives"]
    positions = accessor(description, binary, primitive["attributes"]["POSITION"])
    faces = accessor(description, binary, primitive["indices"]).reshape(-1, 3)
    a, b, c = np.moveaxis(positions[faces].astype(np.float64), 1, 0)
    assert np.einsum("fd,fd->", a, np.cross(b, c)) > 0


def test_split_at_seams_by_hand():
    # Two triangles that share the edge 1-2 in space; vertex 2 lies at two places in texture space.
    atlas = Atlas(
        uv=np.array([[0, 0], [1, 0], [0, 1], [0.5, 1], [1, 1]]),
        faces=np.array([[0, 1, 2], [2, 1, 3]]),
        faces_uv=np.array([[0, 1, 2], [3, 1, 4]]),
        num_vertices=4,
    )
    sources, uv, faces = split_at_seams(atlas)
    assert sources.tolist() == [0, 1, 2, 2, 3]
    assert uv.tolist() == [[0, 0], [1, 0], [0, 1], [0.5, 1], [1, 1]]
    assert faces.tolist() == [[0, 1, 2], [3, 1, 4]]


def test_same_input_gives_same_bytes_in_another_process():
    program = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]);"
        "from test_glb import *;"
        "content = glb_bytes([SceneHand(hand_vertices_mm(), texture())], load_hand().atlas);"
        "print(hashlib.sha256(content).hexdigest())"
    )
    folder = str(__file__).rpartition("/")[0]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, folder],
            env={"PYTHONHASHSEED": seed, "JAX_PLATFORMS": "cpu"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_several_hands_are_nodes_that_stand_where_they_are():
    near = SceneHand(hand_vertices_mm(), texture())
    far = SceneHand(hand_vertices_mm(), texture(), wrist_mm=(100.0, 50.0, 300.0))
    description, _ = parse_glb(glb_bytes([near, far], load_hand().atlas))
    nodes = {node["name"]: node for node in description["nodes"] if "mesh" in node}
    assert set(nodes) == {"hand_1", "hand_2"}
    # glTF's y is up and its z towards the viewer.
    np.testing.assert_allclose(nodes["hand_2"]["translation"], [0.1, -0.05, -0.3])
    assert "translation" not in nodes["hand_1"]
