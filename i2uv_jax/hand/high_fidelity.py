"""The hand in high fidelity, as a UV position map: a smooth surface with the skin's relief on it.

What a scan would give and the rigged mesh cannot: SRNet's target. Metres in the hand frame, like
`hand.model`; pure, jit-able and differentiable, one hand at a time.
"""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.config import DetailConfig
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.geometry.smoothing import build_smoothing, smooth_uv_map
from i2uv_jax.geometry.subdivision import apply_table, subdivide_vertices
from i2uv_jax.geometry.uv_map import uv_map_from_vertices
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail import DetailTraits, joint_flexion, relief_mm
from i2uv_jax.hand.detail_chart import build_detail_tables, subdivision_of
from i2uv_jax.hand.model import HandPose, PosedHand, pose_hand
from i2uv_jax.hand.skeleton import JOINT_NAMES

_MIDDLE_MCP = JOINT_NAMES.index("middle_mcp")


@struct.dataclass
class DetailEnergy:
    """How far two surfaces are apart along their normals, millimetres, over the chart's texels."""

    mean_mm: Float[Array, "*b"]
    percentile_95_mm: Float[Array, "*b"]
    greatest_mm: Float[Array, "*b"]


def high_fidelity_uv_map(
    hand: Hand,
    shape: Float[Array, "s"],
    pose: HandPose,
    traits: DetailTraits,
    config: DetailConfig,
    size: int,
) -> Float[Array, "size size 3"]:
    """UV position map of one posed hand with one person's relief, extended past the border."""
    return detailed_map(hand, pose_hand(hand, shape, pose), pose, traits, config, size)


def detailed_map(
    hand: Hand,
    posed: PosedHand,
    pose: HandPose,
    traits: DetailTraits,
    config: DetailConfig,
    size: int,
) -> Float[Array, "size size 3"]:
    """`high_fidelity_uv_map` of a hand that is posed already."""
    tables = build_detail_tables(hand, size)
    surface, normals = smooth_surface(hand, posed.vertices, size)
    # The palm is stiff: its length tells the hand's size in any pose.
    scale = jnp.linalg.norm(posed.joints[_MIDDLE_MCP] - posed.joints[0]) / hand.mean_palm_length_m
    relief = relief_mm(tables.chart, traits, joint_flexion(hand, pose.joint_rotations))
    detailed = surface + 1e-3 * scale * relief.reshape(size, size, 1) * normals
    if config.smoothing_texels == 0:
        return detailed
    smoothing = build_smoothing(tables.coarse.texel_mask, config.smoothing_texels)
    return smooth_uv_map(smoothing, detailed)


def smooth_surface(
    hand: Hand, vertices: Float[Array, "v 3"], size: int
) -> tuple[Float[Array, "size size 3"], Float[Array, "size size 3"]]:
    """Texels of the subdivided hand without relief, and their outward unit normals."""
    subdivision = subdivision_of(hand)
    texels = build_detail_tables(hand, size).texels
    fine = subdivide_vertices(subdivision, vertices)
    normals = vertex_normals(fine, subdivision.atlas.faces)
    return apply_table(texels, fine), normalize(apply_table(texels, normals))


def detail_energy_mm(
    hand: Hand,
    shape: Float[Array, "s"],
    pose: HandPose,
    traits: DetailTraits,
    config: DetailConfig,
    size: int,
) -> DetailEnergy:
    """Distance of the high-fidelity surface from the rigged mesh's, along the smooth normals.

    Only the normal part counts: points that slide within the surface do not change it.
    """
    tables = build_detail_tables(hand, size)
    posed = pose_hand(hand, shape, pose)
    _, normals = smooth_surface(hand, posed.vertices, size)
    detailed = detailed_map(hand, posed, pose, traits, config, size)
    offset = detailed - uv_map_from_vertices(tables.coarse, posed.vertices)
    distance = 1e3 * jnp.abs(jnp.sum(offset * normals, axis=-1))[tables.coarse.texel_mask]
    return DetailEnergy(
        mean_mm=distance.mean(),
        percentile_95_mm=jnp.percentile(distance, 95),
        greatest_mm=distance.max(),
    )
