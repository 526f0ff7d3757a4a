"""The default hand: reads the packaged asset `data/hand_right.npz`.

How that file is made (and its sources) is in `hand/build/`; the licence and provenance strings are
inside it.
"""

import json
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from flax import struct
from jaxtyping import Float, Int

from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.hand.skeleton import JOINT_PARENTS, NUM_JOINTS


@struct.dataclass
class Hand:
    """A rigged right hand with a forearm, as NumPy arrays (a pytree). Metres, rest pose."""

    template: Float[np.ndarray, "v 3"]
    """Vertices with all blend shapes at zero; like them in an arbitrary frame near the hand's."""
    blend_shapes: Float[np.ndarray, "k v 3"]
    """66 phenotype blend shapes, then our own variations."""
    corner_coefficients: Float[np.ndarray, "360 66"]
    """Coefficients of the 66 at each combination of phenotype anchors."""
    joint_regressor: Float[np.ndarray, "j v"]
    """Joint centres as non-negative combinations of rest vertices; rows sum to 1."""
    skin_weights: Float[np.ndarray, "v j"]
    """Linear blend skinning weights, at most 4 joints a vertex."""
    bone_directions: Float[np.ndarray, "j 3"]
    """Unit vector along the bone that leaves each joint, hand frame of the mean hand."""
    palmar_normals: Float[np.ndarray, "j 3"]
    """Unit vector in which flexion moves the bone; orthogonal to `bone_directions`."""
    corrective_joints: Int[np.ndarray, "n"]
    pose_correctives: Float[np.ndarray, "c v 3"]
    """Offsets of the rest vertices, driven by `model.flexion_features`."""
    mean_joints: Float[np.ndarray, "j 3"]
    """Joint centres of the mean hand at rest, hand frame."""
    mean_tips: Float[np.ndarray, "5 3"]
    """Finger tips of the mean hand at rest, thumb first."""
    mean_palm_length_m: Float[np.ndarray, ""]
    """Wrist to middle MCP in the mean hand, for which the correctives were made."""
    keypoint_regressor: Float[np.ndarray, "21 v"]
    """THE definition of the 21 keypoints: regressor @ posed vertices."""
    forearm_template: Float[np.ndarray, "a 3"]
    forearm_blend_shapes: Float[np.ndarray, "k a 3"]
    forearm_axis: Float[np.ndarray, "3"]
    """Long axis of the forearm at rest, from the wrist to the elbow."""
    forearm_bend: Float[np.ndarray, "a"]
    """Share of the wrist's bend that each forearm vertex takes part in; grows evenly along the
    axis."""
    forearm_bend_length_m: Float[np.ndarray, ""]
    """Length of the forearm over which that share grows from 0 to 1, in the mean hand."""
    forearm_twist: Float[np.ndarray, "a"]
    faces: Int[np.ndarray, "f 3"]
    forearm_faces: Int[np.ndarray, "g 3"]
    """Indices into the concatenation [hand; forearm]; the first row shares the hand's ring."""
    uv: Float[np.ndarray, "t 2"]
    """The chart, scaled to its own square, y down."""
    faces_uv: Int[np.ndarray, "f 3"]
    body_uv: Float[np.ndarray, "f+g 3 2"]
    """Coordinates in MakeHuman's body texture for each corner of [faces; forearm_faces], y down."""
    mean_bone_length_m: Float[np.ndarray, ""]
    """Mean over sampled adults of the summed lengths of the 20 keypoint bones."""
    mean_vertices: Float[np.ndarray, "v 3"]
    """The mean hand, half bent, about its middle, its length the unit: see `mean_hand`."""
    metadata: dict = struct.field(pytree_node=False)
    """Provenance and licence strings."""

    joint_parents = JOINT_PARENTS

    @property
    def num_vertices(self) -> int:
        return self.template.shape[0]

    @property
    def num_forearm_vertices(self) -> int:
        return self.forearm_template.shape[0]

    @cached_property
    def atlas(self) -> Atlas:
        """The UV chart of the hand, without the forearm."""
        return Atlas(
            uv=self.uv, faces=self.faces, faces_uv=self.faces_uv, num_vertices=self.num_vertices
        )


def load_hand(path: str | Path | None = None) -> Hand:
    """The default right hand, or one of the same format from `path`. Read once, then cached.

    Raises:
      ValueError: the file is missing or is not a hand asset.
    """
    return _load_hand(None if path is None else str(path))


@lru_cache(maxsize=4)
def _load_hand(path: str | None) -> Hand:
    source = resources.files(__package__) / "data" / "hand_right.npz" if path is None else path
    try:
        with open(source, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            packed = {name: arrays[name] for name in arrays.files}
        return _unpack(packed)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{source}: not a readable hand asset ({error})") from error


def _unpack(packed: dict[str, np.ndarray]) -> Hand:
    """From the file's quantised and sparse arrays to dense float32."""
    num_vertices = len(packed["template"])

    def dequantise(name: str) -> np.ndarray:
        scale = packed[f"{name}_scale"].astype(np.float32)
        return packed[name].astype(np.float32) * scale[:, None, None]

    def dense(name: str, num_rows: int, num_columns: int) -> np.ndarray:
        matrix = np.zeros((num_rows, num_columns), np.float32)
        np.add.at(
            matrix, (packed[f"{name}_rows"], packed[f"{name}_columns"]), packed[f"{name}_values"]
        )
        return matrix

    plain = (
        "template", "corner_coefficients", "mean_joints", "mean_tips",
        "bone_directions", "palmar_normals",
        "mean_palm_length_m", "forearm_template", "forearm_axis", "forearm_bend", "forearm_twist",
        "forearm_bend_length_m",
        "uv", "body_uv", "mean_bone_length_m", "mean_vertices",
    )  # fmt: skip
    indices = ("corrective_joints", "faces", "forearm_faces", "faces_uv")
    return Hand(
        **{name: packed[name].astype(np.float32) for name in plain},
        **{name: packed[name].astype(np.int32) for name in indices},
        blend_shapes=dequantise("blend_shapes"),
        forearm_blend_shapes=dequantise("forearm_blend_shapes"),
        pose_correctives=dequantise("pose_correctives"),
        joint_regressor=dense("joint_regressor", NUM_JOINTS, num_vertices),
        skin_weights=dense("skin_weights", num_vertices, NUM_JOINTS),
        keypoint_regressor=dense("keypoint_regressor", 21, num_vertices),
        metadata=json.loads(str(packed["metadata"])),
    )
