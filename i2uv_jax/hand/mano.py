"""MANO, the hand model of FreiHAND, HO-3D and HIC, from the user's own file.

The file (MANO_RIGHT.pkl of https://mano.is.tue.mpg.de, for research only) is not part of this
package and is read without running it. Vertices = linear blend skinning of template + shape
directions x betas + pose directions x (rotations of the 15 joints - identity), as in the paper
(Romero, Tzionas and Black 2017). Metres.
"""

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from i2uv_jax.hand.model import (
    forward_kinematics,
    linear_blend_skinning,
    rotation_of_vector,
)
from i2uv_jax.restricted_pickle import read_restricted_pickle

MANO_PAGE = "https://mano.is.tue.mpg.de"

NUM_BETAS = 10
NUM_JOINTS = 16

TIP_VERTICES = (744, 320, 443, 555, 672)
"""Vertices that stand for the finger tips, thumb first: those of FreiHAND's keypoints."""

KEYPOINT_JOINTS = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""Our 21 keypoints as indices into MANO's 16 joints (wrist; index, middle, little, ring, thumb) and
five finger tips (thumb to little) behind them."""

_einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


@struct.dataclass
class Mano:
    """A MANO model, NumPy arrays; the template's frame is the file's own."""

    template: Float[np.ndarray, "v 3"]
    shape_directions: Float[np.ndarray, "v 3 10"]
    pose_directions: Float[np.ndarray, "v 3 135"]
    joint_regressor: Float[np.ndarray, "16 v"]
    skin_weights: Float[np.ndarray, "v 16"]
    mean_pose: Float[np.ndarray, "45"]
    """Axis angles to add to poses that are given relative to the mean hand, as FreiHAND's are."""
    faces: Int[np.ndarray, "f 3"]
    parents: tuple[int, ...] = struct.field(pytree_node=False)

    @property
    def keypoint_regressor(self) -> Float[np.ndarray, "21 v"]:
        """Keypoints as weighted means of posed vertices.

        Those of joints are regressed from posed instead of rest vertices, as is usual for meshes
        without a pose; that is some millimetres from the joints that MANO itself turns about.
        """
        tips = np.eye(len(self.template), dtype=np.float32)[list(TIP_VERTICES)]
        return np.concatenate([self.joint_regressor, tips])[list(KEYPOINT_JOINTS)]


def load_mano(path: str | os.PathLike) -> Mano:
    """Reads MANO_RIGHT.pkl (or MANO_LEFT.pkl) as its owners ship it.

    Raises:
      ValueError: one line: the file cannot be read, asks for more than numbers or is no MANO
    """
    content = read_restricted_pickle(path)
    num_pose = 9 * (NUM_JOINTS - 1)
    try:
        arrays = {
            name: np.asarray(content[key], np.float32)
            for name, key in (
                ("template", "v_template"),
                ("shape_directions", "shapedirs"),
                ("pose_directions", "posedirs"),
                ("joint_regressor", "J_regressor"),
                ("skin_weights", "weights"),
                ("mean_pose", "hands_mean"),
            )
        }
        faces = np.asarray(content["f"]).astype(np.int32)
        parents = np.asarray(content["kintree_table"])[0].astype(np.int64)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: no MANO model ({type(error).__name__}: {error})") from error
    vertices = len(arrays["template"])
    for name, shape in (
        ("template", (vertices, 3)),
        ("shape_directions", (vertices, 3, NUM_BETAS)),
        ("pose_directions", (vertices, 3, num_pose)),
        ("joint_regressor", (NUM_JOINTS, vertices)),
        ("skin_weights", (vertices, NUM_JOINTS)),
        ("mean_pose", (3 * (NUM_JOINTS - 1),)),
    ):
        if arrays[name].shape != shape:
            raise ValueError(
                f"{path}: no MANO model ({name}: expected shape {shape}, got {arrays[name].shape})"
            )
    is_tree = len(parents) == NUM_JOINTS and all(
        0 <= parents[joint] < joint for joint in range(1, NUM_JOINTS)
    )
    if vertices <= max(TIP_VERTICES) or not is_tree:
        raise ValueError(f"{path}: no MANO model of a hand (vertices or joints)")
    if faces.ndim != 2 or faces.shape[1] != 3 or not 0 <= faces.min() <= faces.max() < vertices:
        raise ValueError(f"{path}: no MANO model (faces that do not fit the vertices)")
    return Mano(**arrays, faces=faces, parents=(-1, *map(int, parents[1:])))


def pose_mano(
    mano: Mano, pose: Float[Array, "48"], betas: Float[Array, "10"]
) -> tuple[Float[Array, "v 3"], Float[Array, "21 3"]]:
    """Vertices and keypoints of one posed hand, metres. Pure, jit-able; `vmap` for batches.

    Args:
      pose: axis angles of the whole hand (about the wrist joint) and of the 15 joints in MANO's
        order; absolute, so `mano.mean_pose` is already in it where it has to be.
      betas: shape coefficients.
    """
    shaped = mano.template + _einsum("vdk,k->vd", mano.shape_directions, betas)
    joints = _einsum("jv,vd->jd", mano.joint_regressor, shaped)
    rotations = jax.vmap(rotation_of_vector)(pose.reshape(NUM_JOINTS, 3))
    features = (rotations[1:] - jnp.eye(3)).reshape(-1)
    corrected = shaped + _einsum("vdk,k->vd", mano.pose_directions, features)
    world, posed_joints = forward_kinematics(mano.parents, joints, rotations)
    vertices = linear_blend_skinning(corrected, mano.skin_weights, joints, world, posed_joints)
    tips = vertices[np.array(TIP_VERTICES)]
    return vertices, jnp.concatenate([posed_joints, tips])[np.array(KEYPOINT_JOINTS)]
