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
from scipy.spatial.transform import Rotation

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.rig import rig_of
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.viewing.glb import SceneHand, glb_bytes, split_at_seams
from i2uv_jax.viewing.glb_skeleton import HandMotion


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
    dtype = {5126: np.float32, 5125: np.uint32, 5123: np.uint16, 5121: np.uint8}
    dtype = dtype[entry["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry["type"]]
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


def skinned_positions(
    description: dict, binary: bytes, mesh_node: dict, poses: dict[int, dict] | None = None
) -> np.ndarray:
    """Where a viewer draws the vertices, by the glTF 2.0 specification (3.7.3).

    Args:
      poses: entries of nodes that an animation has replaced.
    """
    nodes = [node | (poses or {}).get(index, {}) for index, node in enumerate(description["nodes"])]
    worlds: dict[int, np.ndarray] = {}

    def place(index: int, above: np.ndarray) -> None:
        node = nodes[index]
        own = np.eye(4)
        own[:3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
        own[:3, :3] *= node.get("scale", [1, 1, 1])
        own[:3, 3] = node.get("translation", [0, 0, 0])
        worlds[index] = above @ own
        for child in node.get("children", ()):
            place(child, worlds[index])

    for root in description["scenes"][0]["nodes"]:
        place(root, np.eye(4))
    skin = description["skins"][mesh_node["skin"]]
    (primitive,) = description["meshes"][mesh_node["mesh"]]["primitives"]
    values = {
        name: accessor(description, binary, number)
        for name, number in primitive["attributes"].items()
    }
    # Stored column by column.
    inverses = accessor(description, binary, skin["inverseBindMatrices"]).reshape(-1, 4, 4)
    matrices = np.stack([worlds[joint] for joint in skin["joints"]]) @ np.swapaxes(inverses, 1, 2)
    blended = np.einsum("nk,nkij->nij", values["WEIGHTS_0"], matrices[values["JOINTS_0"]])
    homogeneous = np.concatenate([values["POSITION"], np.ones((len(blended), 1))], axis=1)
    return np.einsum("nij,nj->ni", blended, homogeneous)[:, :3]


@pytest.mark.parametrize("is_left", [False, True])
def test_a_rigged_hand_is_drawn_where_the_plain_one_is(is_left):
    vertices = hand_vertices_mm() * np.array([-1 if is_left else 1, 1, 1], np.float32)
    hand = SceneHand(
        vertices,
        texture(),
        is_left=is_left,
        wrist_mm=(10.0, 20.0, -30.0),
        rig=rig_of(vertices, is_left=is_left),
    )
    description, binary = parse_glb(glb_bytes([hand], load_hand().atlas))
    (node,) = [node for node in description["nodes"] if "mesh" in node]
    assert node["name"] == "hand"
    sources, _, _ = split_at_seams(load_hand().atlas)
    expected = (vertices + np.array(hand.wrist_mm))[sources] / 1000 * [1, -1, -1]
    np.testing.assert_allclose(skinned_positions(description, binary, node), expected, atol=1e-6)
    joints = description["skins"][0]["joints"]
    assert [description["nodes"][joint]["name"] for joint in joints] == list(JOINT_NAMES)
    # At rest it faces outwards, too.
    (primitive,) = description["meshes"][0]["primitives"]
    positions = accessor(description, binary, primitive["attributes"]["POSITION"])
    faces = accessor(description, binary, primitive["indices"]).reshape(-1, 3)
    a, b, c = np.moveaxis(positions[faces].astype(np.float64), 1, 0)
    assert np.einsum("fd,fd->", a, np.cross(b, c)) > 0


def test_a_moving_hand_is_drawn_frame_by_frame_where_it_was():
    vertices = hand_vertices_mm()
    turn = Rotation.from_euler("xyz", (0.3, 1.2, -2.0)).as_matrix()
    places = np.array([[0.0, 0.0, 500.0], [40.0, -10.0, 520.0], [80.0, 0.0, 480.0]])
    turns = [np.linalg.matrix_power(turn, number) for number in range(3)]
    frames = [vertices @ turn.T + place for turn, place in zip(turns, places, strict=True)]
    rigs = [rig_of(frame) for frame in frames]
    motion = HandMotion(
        seconds=np.array([0.0, 0.1, 0.4]),
        joint_quaternions=np.stack([rig.joint_quaternions for rig in rigs]),
        wrists_mm=np.stack([rig.wrist for rig in rigs]),
        is_seen=np.array([True, False, True]),
    )
    hand = SceneHand(frames[0], texture(), rig=rigs[0], motion=motion, name="track_7")
    description, binary = parse_glb(glb_bytes([hand], load_hand().atlas))
    (animation,) = description["animations"]
    (node,) = [node for node in description["nodes"] if "mesh" in node]
    assert node["name"] == "track_7"
    sources, _, _ = split_at_seams(load_hand().atlas)
    for number, expected in enumerate(frames):
        poses: dict[int, dict] = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times = accessor(description, binary, sampler["input"])[:, 0]
            np.testing.assert_allclose(times, motion.seconds)
            value = accessor(description, binary, sampler["output"])[number]
            target = channel["target"]
            poses.setdefault(target["node"], {})[target["path"]] = value
        drawn = skinned_positions(description, binary, node, poses)
        if motion.is_seen[number]:
            expected = expected[sources] / 1000 * [1, -1, -1]
            np.testing.assert_allclose(drawn, expected, atol=1e-5)
        else:
            assert np.ptp(drawn, axis=0).max() < 1e-6
