"""Pairs of UV maps to train SRNet without pictures: a coarse one and what it stands for.

The coarse map is the rigged mesh's, with the errors that AffineNet's maps have: detail smoothed
away, noise from texel to texel, regions that drift together, a hand drawn towards its middle. Both
maps are in crop coordinates, as `types.Batch.uv_map`, of hands that stand in the crop as the
renderer's do. Pure functions of keys; jit-able (hand and configs static).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from i2uv_jax.config import CoarseErrorConfig, RenderConfig, SurfacePairConfig
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.smoothing import build_smoothing, smooth_uv_map
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices, vertices_from_uv_map
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.render.framing import Framing, sample_framing, sample_placement
from i2uv_jax.types import SurfacePairs


def sample_pair(
    key: PRNGKeyArray, hand: Hand, config: SurfacePairConfig, view: RenderConfig
) -> SurfacePairs:
    """The pair of a random right hand, without the batch axis.

    Args:
      view: where hands stand in the crop, and `uv_map_size`; nothing is drawn.
    """
    trait_key, error_key, *keys = jax.random.split(key, 6)
    _, pose, posed, framing = sample_placement(keys, hand, view, truncation_share=0.0)
    traits = sample_traits(trait_key, hand, config.detail)
    fine = detailed_map(hand, posed, pose, traits, config.detail, view.uv_map_size)
    tables = build_tables(hand.atlas, config.coarse.texels or view.uv_map_size)
    coarse = uv_map_from_vertices(tables, posed.vertices)
    pair = pair_in_crop(framing, posed.keypoints[WRIST], coarse, fine)
    return spoil(error_key, pair, tables.texel_mask, config.coarse)


def view_of_scan(
    key: PRNGKeyArray,
    hand: Hand,
    coarse: Float[Array, "m m 3"],
    fine: Float[Array, "m m 3"],
    config: SurfacePairConfig,
    view: RenderConfig,
) -> SurfacePairs:
    """A registered scan as a random camera may see it, without the batch axis.

    Args:
      coarse: the rigged hand's map, metres, hand frame.
      fine: the scan's surface, likewise; it is smoothed as generated ones are.
      view: as in `sample_pair`.
    """
    view_key, camera_key, error_key = jax.random.split(key, 3)
    tables = build_tables(hand.atlas, view.uv_map_size)
    vertices = vertices_from_uv_map(tables, coarse)
    if config.detail.smoothing_texels > 0:
        smoothing = build_smoothing(tables.texel_mask, config.detail.smoothing_texels)
        fine = smooth_uv_map(smoothing, fine)
    keypoints = hand.keypoint_regressor @ vertices
    framing = sample_framing(view_key, camera_key, vertices, keypoints, view, truncation_share=0.0)
    if config.coarse.texels is not None:
        tables = build_tables(hand.atlas, config.coarse.texels)
        coarse = uv_map_from_vertices(tables, vertices)
    pair = pair_in_crop(framing, keypoints[WRIST], coarse, fine)
    return spoil(error_key, pair, tables.texel_mask, config.coarse)


def pair_in_crop(
    framing: Framing,
    wrist_m: Float[Array, "3"],
    coarse: Float[Array, "k k 3"],
    fine: Float[Array, "m m 3"],
) -> SurfacePairs:
    """Two maps in metres in the hand frame, as `framing` shows them."""
    wrist_depth_m = framing.to_camera_frame(wrist_m)[2]

    def to_crop(uv_map):
        points = framing.to_camera_frame(uv_map.reshape(-1, 3))
        return to_crop_space(framing.camera, points, wrist_depth_m).reshape(uv_map.shape)

    return SurfacePairs(
        coarse_uv_map=to_crop(coarse),
        uv_map=to_crop(fine),
        mm_per_unit=1e3 * wrist_depth_m / framing.camera.focal,
    )


def spoil(
    key: PRNGKeyArray,
    pair: SurfacePairs,
    mask: Bool[np.ndarray, "k k"],
    config: CoarseErrorConfig,
) -> SurfacePairs:
    """The pair with `degrade`'s errors in its coarse map, then resized to the fine one's size.

    Args:
      mask: the coarse map's chart.
    """
    coarse = degrade(key, pair.coarse_uv_map, mask, 1 / pair.mm_per_unit, config)
    coarse = resize_corner_aligned(coarse[None], pair.uv_map.shape[:2])[0]
    return pair.replace(coarse_uv_map=coarse)


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


def turn_pairs(key: PRNGKeyArray, pairs: SurfacePairs, degrees: float | None) -> SurfacePairs:
    """Each pair turned in the picture's plane, about the crop's middle, by an angle of its own.

    Args:
      degrees: standard deviation of the angle; None turns by any angle.
    """
    count = len(pairs.uv_map)
    if degrees is None:
        angle = jax.random.uniform(key, (count,), maxval=2 * jnp.pi)
    else:
        angle = jnp.deg2rad(degrees) * jax.random.normal(key, (count,))
    cos, sin = (f(angle)[:, None, None] for f in (jnp.cos, jnp.sin))

    def turn(uv_map):
        x, y, z = uv_map[..., 0] - 0.5, uv_map[..., 1] - 0.5, uv_map[..., 2]
        return jnp.stack([cos * x - sin * y + 0.5, sin * x + cos * y + 0.5, z], axis=-1)

    return pairs.replace(coarse_uv_map=turn(pairs.coarse_uv_map), uv_map=turn(pairs.uv_map))


def _unit_variance(values, mask):
    """Scaled to a standard deviation of 1 over the chart; smoothing and resizing lower it."""
    variance = jnp.mean(values**2, where=mask[..., None])
    return values / jnp.sqrt(variance + 1e-12)
