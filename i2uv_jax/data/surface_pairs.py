"""Pairs of UV maps to train SRNet without pictures: a coarse one and what it stands for.

The coarse map is the rigged mesh's, with the errors that AffineNet's maps have: detail smoothed
away, noise from texel to texel, regions that drift together, a hand drawn towards its middle. Both
maps are in crop coordinates, as `types.Batch.uv_map`, of hands that stand in the crop as the
renderer's do. Pure functions of a key; jit-able (hand, config and batch size static).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from i2uv_jax.config import CoarseErrorConfig, SurfacePairConfig
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.smoothing import build_smoothing, smooth_uv_map
from i2uv_jax.geometry.uv_map import uv_map_from_vertices
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.detail_chart import build_detail_tables
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.hand.model import pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.render.framing import sample_framing


def sample_surface_pair(
    key: PRNGKeyArray, hand: Hand, config: SurfacePairConfig, batch_size: int
) -> tuple[Float[Array, "b m m 3"], Float[Array, "b m m 3"]]:
    """(coarse, high-fidelity) UV maps of random right hands; the same key gives the same pairs."""
    keys = jax.random.split(hash_key(key), batch_size)
    return jax.vmap(lambda one: _sample_pair(one, hand, config))(keys)


def degrade(
    key: PRNGKeyArray,
    uv_map: Float[Array, "m m 3"],
    mask: Bool[np.ndarray, "m m"],
    unit_per_mm: float | Float[Array, ""],
    config: CoarseErrorConfig,
) -> Float[Array, "m m 3"]:
    """A UV map as a network would say it. How much of each error it has is drawn evenly from none
    to what the config allows.

    Args:
      mask: the chart (`UvTables.texel_mask`).
      unit_per_mm: the map's unit per millimetre, for the errors that are given in millimetres.
    """
    share_key, noise_key, drift_key = jax.random.split(key, 3)
    smooth, noise_share, drift_share, shrink = jax.random.uniform(share_key, (4,))
    size = uv_map.shape[0]
    if config.smoothing_texels > 0:
        smoothing = build_smoothing(mask, config.smoothing_texels)
        uv_map = uv_map + smooth * (smooth_uv_map(smoothing, uv_map) - uv_map)
    middle = jnp.mean(uv_map, axis=(0, 1), where=mask[..., None])
    uv_map = middle + (1 - config.shrinkage * shrink) * (uv_map - middle)

    noise = jax.random.normal(noise_key, uv_map.shape)
    if config.noise_texels > 0:
        noise = smooth_uv_map(build_smoothing(mask, config.noise_texels), noise)
    nodes = max(2, round(256 / config.drift_texels) + 1)
    drift = jax.random.normal(drift_key, (nodes, nodes, 3))
    drift = resize_corner_aligned(drift[None], (size, size))[0]
    error_mm = config.noise_mm * noise_share * _unit_variance(noise, mask)
    error_mm += config.drift_mm * drift_share * _unit_variance(drift, mask)
    return uv_map + unit_per_mm * error_mm


def _unit_variance(values, mask):
    """Scaled to a standard deviation of 1 over the chart; smoothing and resizing lower it."""
    variance = jnp.mean(values**2, where=mask[..., None])
    return values / jnp.sqrt(variance + 1e-12)


def _sample_pair(key, hand, config):
    keys = jax.random.split(key, 6)
    size = config.view.uv_map_size
    shape, pose = sample_shape(keys[0], hand), sample_pose(keys[1], hand)
    traits = sample_traits(keys[2], hand, config.detail)
    posed = pose_hand(hand, shape, pose)
    fine = detailed_map(hand, posed, pose, traits, config.detail, size)
    framing = sample_framing(keys[3], keys[4], posed.vertices, config.view, truncation_share=0.0)
    wrist_depth_m = framing.to_camera_frame(posed.keypoints[WRIST])[2]

    def to_crop(points):
        return to_crop_space(framing.camera, framing.to_camera_frame(points), wrist_depth_m)

    tables = build_detail_tables(hand, size).coarse
    coarse = uv_map_from_vertices(tables, to_crop(posed.vertices))
    crop_per_mm = 1e-3 * framing.camera.focal / wrist_depth_m
    coarse = degrade(keys[5], coarse, tables.texel_mask, crop_per_mm, config.coarse)
    return coarse, to_crop(fine.reshape(-1, 3)).reshape(fine.shape)
