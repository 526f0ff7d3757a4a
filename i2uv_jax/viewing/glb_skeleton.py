"""Skeletons in binary glTF: meshes that viewers pose, and motions that they play.

The joints are nodes with the names of `hand.skeleton.JOINT_NAMES`, each in its parent's; the wrist
stands in the scene, turned from the hand's own frame (`hand.rig.Rig`) to glTF's. The mesh is stored
at rest in the hand's frame, in metres.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from i2uv_jax.hand.rig import JOINTS_PER_VERTEX, Rig, mesh_skin_weights
from i2uv_jax.hand.skeleton import JOINT_NAMES, JOINT_PARENTS, NUM_JOINTS
from i2uv_jax.viewing.gltf_file import CAMERA_TO_GLTF, GltfFile

_WRIST = 0


@dataclass(frozen=True)
class HandMotion:
    """How a rigged hand moves, frame by frame."""

    seconds: Float[np.ndarray, "n"]
    """Strictly increasing."""
    joint_quaternions: Float[np.ndarray, "n 20 4"]
    """As those of a `Rig`."""
    wrists_mm: Float[np.ndarray, "n 3"]
    """The wrist joint in the camera frame."""
    is_seen: Bool[np.ndarray, "n"]
    """Where False the hand vanishes until it is seen again."""


@dataclass(frozen=True)
class Skeleton:
    """Numbers of entries in a `GltfFile`."""

    skin: int
    joints: tuple[int, ...]
    """Nodes, in the order of `JOINT_NAMES`."""


def add_skeleton(file: GltfFile, rig: Rig, wrist_mm: Float[np.ndarray, "3"]) -> Skeleton:
    """Adds the joints in their pose, and the skin that a mesh's node names beside its mesh.

    Args:
      wrist_mm: where the wrist joint stands, camera frame.
    """
    bones = rig.rest_joints - rig.rest_joints[np.maximum(JOINT_PARENTS, 0)]
    places = _metres(bones)
    places[_WRIST] = _metres(wrist_mm) * CAMERA_TO_GLTF
    rotations = _node_rotations(rig.joint_quaternions[None])[0]
    joints: list[int] = [-1] * NUM_JOINTS
    # Children first, because a node names its own.
    for joint in reversed(range(NUM_JOINTS)):
        below = [joints[child] for child in range(NUM_JOINTS) if JOINT_PARENTS[child] == joint]
        node = {
            "name": JOINT_NAMES[joint],
            "translation": places[joint].tolist(),
            "rotation": rotations[joint].tolist(),
        }
        joints[joint] = file.add("nodes", {**node, "children": below} if below else node)
    to_joints = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    to_joints[:, :3, 3] = -_metres(rig.rest_joints)
    skin = {
        "inverseBindMatrices": file.add_matrices(to_joints),
        "joints": joints,
        "skeleton": joints[_WRIST],
    }
    return Skeleton(file.add("skins", skin), tuple(joints))


def add_skin_attributes(file: GltfFile, num_vertices: int, sources: Int[np.ndarray, "n"]) -> dict:
    """What joints move a mesh's vertices, as attributes of its primitive.

    Args:
      num_vertices: of the rig's mesh.
      sources: which of them each vertex of the primitive copies.
    """
    weights = mesh_skin_weights(num_vertices)[sources]
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :JOINTS_PER_VERTEX]
    weights = np.take_along_axis(weights, joints, axis=1)
    return {
        "JOINTS_0": file.add_joint_indices(np.where(weights > 0, joints, 0)),
        "WEIGHTS_0": file.add_vectors(weights),
    }


def add_motion(file: GltfFile, animation: dict, skeleton: Skeleton, motion: HandMotion) -> None:
    """Adds the joints' movements to the "channels" and "samplers" of a file's animation."""
    seconds = file.add_keyframes(motion.seconds)
    rotations = _node_rotations(motion.joint_quaternions)

    def move(joint: int, path: str, values: np.ndarray, interpolation: str = "LINEAR") -> None:
        target = {"node": skeleton.joints[joint], "path": path}
        animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
        output = file.add_keyframes(values)
        sampler = {"input": seconds, "output": output, "interpolation": interpolation}
        animation["samplers"].append(sampler)

    for joint in range(NUM_JOINTS):
        move(joint, "rotation", rotations[:, joint])
    move(_WRIST, "translation", _metres(motion.wrists_mm) * CAMERA_TO_GLTF)
    if not motion.is_seen.all():
        move(_WRIST, "scale", np.repeat(motion.is_seen[:, None].astype(float), 3, axis=1), "STEP")


def _metres(lengths_mm):
    return np.asarray(lengths_mm, np.float64) / 1000


def _node_rotations(joint_quaternions):
    """Of the joints' nodes, (n, 20, 4), the short way from frame to frame."""
    # Only now: it takes half a second, which hands without a rig need not wait.
    from scipy.spatial.transform import Rotation

    to_gltf = Rotation.from_matrix(np.diag(CAMERA_TO_GLTF))
    turns = joint_quaternions.astype(np.float64)
    turns[:, _WRIST] = (to_gltf * Rotation.from_quat(turns[:, _WRIST])).as_quat()
    is_long_way = (turns[1:] * turns[:-1]).sum(axis=-1) < 0
    turns[1:] *= np.cumprod(np.where(is_long_way, -1, 1), axis=0)[..., None]
    return turns
