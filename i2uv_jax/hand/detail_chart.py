"""Where each texel of the hand's chart lies among joints, nails and bones. Host, NumPy.

The anatomy that `hand.detail` draws its relief from, worked out once per map size from the mean
adult at rest: millimetres along and across bones. All fields are continuous over the chart's seams,
because they follow from places in space.
"""

from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Float, Int

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.geometry.mesh import vertex_normals
from i2uv_jax.geometry.subdivision import (
    GatherTable,
    Subdivision,
    apply_table,
    subdivide_atlas,
    subdivide_vertices,
    subdivided_texels,
)
from i2uv_jax.geometry.uv_map import UvTables, build_tables, texel_values
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import rest_hand
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.hand.skeleton import JOINT_NAMES, JOINT_PARENTS

DETAIL_JOINTS = tuple(
    JOINT_NAMES.index(f"{finger}_{name}")
    for finger in FINGER_NAMES
    for name in (("mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip"))
)
"""The 14 joints that skin folds over, finger by finger, thumb first."""

DISTAL_JOINTS = tuple(
    JOINT_NAMES.index(f"{finger}_{'ip' if finger == 'thumb' else 'dip'}") for finger in FINGER_NAMES
)

_NAIL_CENTRE, _NAIL_HALF_LENGTH, _NAIL_HALF_WIDTH = 0.70, 0.27, 0.62
"""As shares of the last phalanx's length, and of its half width."""
_TIP_HALF_WIDTH_MM = (11.0, 9.0, 9.0, 8.6, 7.8)
_PALM_PADS_MM = ((28.0, 42.0), (-30.0, 34.0), (-4.0, 82.0))
"""Balls of the thumb and of the little finger, and the pad below the fingers: x, y."""


@struct.dataclass
class DetailChart:
    """One row for each of a map's n = size^2 texels, those past the chart's border included."""

    joint: Int[np.ndarray, "n"]
    """The nearest joint of the texel's own finger, as an index into `DETAIL_JOINTS`."""
    along: Float[np.ndarray, "n"]
    """Millimetres from that joint towards the finger's tip."""
    across: Float[np.ndarray, "n"]
    """Millimetres from the finger's axis, sideways."""
    dorsal: Float[np.ndarray, "n"]
    """1 on the back of that bone, 0 on its palm side."""
    palmar: Float[np.ndarray, "n"]
    finger: Int[np.ndarray, "n"]
    nail_along: Float[np.ndarray, "n"]
    """Place on the nail: -1 at the cuticle, 1 at the free edge; |x| > 1 beside it."""
    nail_across: Float[np.ndarray, "n"]
    on_nail_side: Float[np.ndarray, "n"]
    """1 around the nails, 0 where the two coordinates mean nothing."""
    pads: Float[np.ndarray, "n 3"]
    """How far the texel is on a finger tip's pad, on another segment's, on the palm's."""
    palm_texels: Int[np.ndarray, "p"]
    """Texels on which the palm's lines can lie; then their x and y in the hand frame (mm), and
    how much they belong to the palm."""
    palm_plane: Float[np.ndarray, "p 2"]
    palm_weight: Float[np.ndarray, "p"]
    back_texels: Int[np.ndarray, "q"]
    """The same for the back of the hand, where tendons and veins lie."""
    back_plane: Float[np.ndarray, "q 2"]
    back_weight: Float[np.ndarray, "q"]


@struct.dataclass
class DetailTables:
    """All that a high-fidelity map of one size needs from the hand's atlas."""

    texels: GatherTable
    """Texels from the vertices of the subdivided mesh."""
    coarse: UvTables
    """Texels from the vertices of the hand itself."""
    chart: DetailChart


@lru_cache(maxsize=8)
def _cached_tables(key: "_ByIdentity", size: int) -> DetailTables:
    hand = key.hand
    coarse = build_tables(hand.atlas, size)
    texels = subdivided_texels(hand.atlas, coarse)
    return DetailTables(texels=texels, coarse=coarse, chart=_build_chart(hand, texels, coarse))


class _ByIdentity:
    """A hand as a cache's key: arrays have no hash, an atlas of its own every hand has."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand

    def __hash__(self) -> int:
        return hash(self.hand.atlas)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.hand.atlas == other.hand.atlas


def build_detail_tables(hand: Hand, size: int) -> DetailTables:
    """Tables for maps of `size` x `size` texels (NumPy, cached per hand and size)."""
    return _cached_tables(_ByIdentity(hand), size)


def subdivision_of(hand: Hand) -> Subdivision:
    """The hand's mesh in 51,136 triangles; `viewing.glb` takes its `atlas` as it takes the hand's.

    Its vertices are `vertices_from_uv_map(build_tables(subdivision.atlas, size), uv_map)`.
    """
    return subdivide_atlas(hand.atlas, 2)


def _build_chart(hand, texels, coarse):
    point, normal = (apply_table(texels, values).reshape(-1, 3) for values in _mean_surface(hand))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    skin = texel_values(coarse, hand.skin_weights).reshape(len(point), -1)
    of_finger = np.stack(
        [
            skin[:, [j for j, name in enumerate(JOINT_NAMES) if name.startswith(finger)]].sum(1)
            for finger in FINGER_NAMES
        ]
    )
    finger = of_finger.argmax(axis=0)

    centres = 1e3 * hand.mean_joints[list(DETAIL_JOINTS)]
    fingers_of_joints = np.array(
        [FINGER_NAMES.index(JOINT_NAMES[joint].split("_")[0]) for joint in DETAIL_JOINTS]
    )
    distance = np.linalg.norm(point[:, None] - centres, axis=-1)
    distance[fingers_of_joints != finger[:, None]] = np.inf
    row = distance.argmin(axis=1)

    # Folds run across the mean of the two bones that meet.
    parents = [JOINT_PARENTS[joint] for joint in DETAIL_JOINTS]
    joints = list(DETAIL_JOINTS)
    bone = _unit(hand.bone_directions[parents] + hand.bone_directions[joints])
    front = _unit(hand.palmar_normals[parents] + hand.palmar_normals[joints])
    side = np.cross(bone, front)
    offset = point - centres[row]
    facing = (normal * front[row]).sum(axis=1)

    nail_along, nail_across, on_nail_side = _nail_coordinates(hand, point, normal, finger)
    tilt = (normal * (skin @ hand.palmar_normals)).sum(axis=1)
    palm = _smoothstep(0.1, 0.6, tilt) * (1 - _smoothstep(96, 106, point[:, 1]))
    back = _smoothstep(0.0, 0.5, -tilt) * _smoothstep(4, 14, point[:, 1])
    back *= 1 - _smoothstep(108, 118, point[:, 1])
    palm_texels, back_texels = np.flatnonzero(palm), np.flatnonzero(back)
    return jax.tree.map(
        lambda leaf: leaf.astype(np.int32 if leaf.dtype.kind == "i" else np.float32),
        DetailChart(
            joint=row,
            along=(offset * bone[row]).sum(axis=1),
            across=(offset * side[row]).sum(axis=1),
            dorsal=_smoothstep(0.1, 0.6, -facing),
            palmar=_smoothstep(0.0, 0.5, facing),
            finger=finger,
            nail_along=nail_along,
            nail_across=nail_across,
            on_nail_side=on_nail_side,
            pads=_pads(hand, point, finger, facing, tilt),
            palm_texels=palm_texels,
            palm_plane=point[palm_texels, :2],
            palm_weight=palm[palm_texels],
            back_texels=back_texels,
            back_plane=point[back_texels, :2],
            back_weight=back[back_texels],
        ),
    )


def _mean_surface(hand):
    """Points (mm) and normals of the mean adult's subdivided hand at rest."""
    with jax.ensure_compile_time_eval():
        shape = jnp.asarray(MEAN_SHAPE, jnp.float32)
        rest = jax.jit(lambda shape: rest_hand(hand, shape).vertices)(shape)
        subdivision = subdivision_of(hand)
        points = subdivide_vertices(subdivision, 1e3 * np.asarray(rest))
        return points, np.asarray(jax.jit(vertex_normals)(points, subdivision.atlas.faces))


def _nail_coordinates(hand, point, normal, finger):
    joints = np.array(DISTAL_JOINTS)
    bone, front = hand.bone_directions[joints], hand.palmar_normals[joints]
    start = 1e3 * hand.mean_joints[joints]
    length = np.linalg.norm(1e3 * hand.mean_tips - start, axis=1)
    offset = point - start[finger]
    along = (offset * bone[finger]).sum(axis=1)
    across = (offset * np.cross(bone, front)[finger]).sum(axis=1)
    nail_along = (along / length[finger] - _NAIL_CENTRE) / _NAIL_HALF_LENGTH
    nail_across = across / (_NAIL_HALF_WIDTH * np.array(_TIP_HALF_WIDTH_MM)[finger])
    on_back = _smoothstep(0.0, 0.3, -(normal * front[finger]).sum(axis=1))
    return nail_along, nail_across, on_back * _smoothstep(-2.2, -1.6, nail_along)


def _pads(hand, point, finger, facing, tilt):
    """See `DetailChart.pads`."""
    distal, segment = np.zeros(len(point)), np.zeros(len(point))
    for number, name in enumerate(FINGER_NAMES):
        stops = [j for j in DETAIL_JOINTS if JOINT_NAMES[j].startswith(name)]
        places = [*1e3 * hand.mean_joints[stops], 1e3 * hand.mean_tips[number]]
        for place, (start, stop) in enumerate(pairwise(places)):
            is_last, is_base = place == len(stops) - 1, place == 0
            # Of the base only the half beyond the web is free.
            centre = start + (0.6 if is_last else 0.68 if is_base else 0.5) * (stop - start)
            bone = _unit(stop - start)
            offset = point - centre
            along = offset @ bone
            radius = (0.3 if is_last else 0.22 if is_base else 0.3) * np.linalg.norm(stop - start)
            bump = np.exp(-((along / radius) ** 2)) * (finger == number)
            if is_last:
                distal = np.maximum(distal, bump)
            else:
                segment = np.maximum(segment, bump)
    palm = np.zeros(len(point))
    for centre in _PALM_PADS_MM:
        palm += np.exp(-(((point[:, :2] - centre) / 15) ** 2).sum(axis=1))
    on_front = _smoothstep(0.0, 0.7, facing)
    return np.stack([distal * on_front, segment * on_front, palm * _smoothstep(0, 0.7, tilt)], -1)


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _smoothstep(low, high, value):
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
