"""Where a hand stands before its camera, and the crop that shows it. Pure and jit-able."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.config import RenderConfig
from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import HandPose, PosedHand, apply3, pose_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.render.view import (
    roll_upright,
    sample_crop_shift,
    sample_distance,
    sample_view,
)
from i2uv_jax.types import Camera


@struct.dataclass
class Framing:
    """The way from the hand frame to the camera frame, both metres, and the crop's camera."""

    rotation: Float[Array, "3 3"]
    centre_m: Float[Array, "3"]
    """Point of the hand frame that comes to stand at `offset_m`."""
    offset_m: Float[Array, "3"]
    camera: Camera

    def to_camera_frame(self, points_m: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
        """Points of the hand frame in the camera frame."""
        return apply3(self.rotation, points_m - self.centre_m) + self.offset_m


class Placement(NamedTuple):
    """A hand and where it stands before its camera."""

    shape: Float[Array, "*b s"]
    pose: HandPose
    posed: PosedHand
    framing: Framing


class _Frame(NamedTuple):
    """How a crop lies about its hand: values of `RenderConfig` by the same names."""

    min_fill: Float[Array, ""] | float
    max_fill: Float[Array, ""] | float
    centre_jitter: Float[Array, ""] | float
    upright_share: Float[Array, ""] | float
    roll_jitter: Float[Array, ""] | float


_CLOSEUP = _Frame(
    min_fill=0.6, max_fill=1.3, centre_jitter=0.12, upright_share=1.0, roll_jitter=0.35
)
"""What a second look sees: it aims at a fill of `models.looks.FILL`, but the first look errs, by a
quarter of the hand's size (standard deviation) and 18 degrees (third quartile) in the middle of
training."""


def sample_placement(
    keys: Sequence[PRNGKeyArray], hand: Hand, config: RenderConfig, *, truncation_share: float
) -> Placement:
    """A random hand in a random view.

    Args:
      keys: of shape, pose, view and camera.
      config, truncation_share: as `sample_framing` takes them.
    """
    shape_key, pose_key, view_key, camera_key = keys
    shape, pose = sample_shape(shape_key, hand), sample_pose(pose_key, hand)
    posed = pose_hand(hand, shape, pose)
    framing = sample_framing(
        view_key,
        camera_key,
        posed.vertices,
        posed.keypoints,
        config,
        truncation_share=truncation_share,
    )
    return Placement(shape, pose, posed, framing)


def sample_framing(
    view_key: PRNGKeyArray,
    camera_key: PRNGKeyArray,
    vertices_m: Float[Array, "v 3"],
    keypoints_m: Float[Array, "21 3"],
    config: RenderConfig,
    *,
    truncation_share: float,
) -> Framing:
    """A random view of one hand.

    Args:
      vertices_m, keypoints_m: of the posed hand, hand frame.
      config: how hands are turned and how much of the crop they fill.
      truncation_share: share of crops that cut a part of the hand off.
    """
    frame = _sample_frame(jax.random.fold_in(view_key, 2), config)
    rotation = roll_upright(
        jax.random.fold_in(view_key, 3),
        sample_view(view_key, config.tilt_degrees, free_share=config.free_view_share),
        keypoints_m[MIDDLE_MCP] - keypoints_m[WRIST],
        share=frame.upright_share,
        jitter=frame.roll_jitter,
    )
    keys = jax.random.split(camera_key, 4)
    # Off the optical axis the hand is seen from another side, as in any wide picture.
    slant = config.max_slant * jax.random.uniform(keys[1], (2,), minval=-1, maxval=1)
    offset_m = sample_distance(keys[0]) * jnp.append(slant, 1.0)
    centre_m = vertices_m.mean(axis=0)
    seen = apply3(rotation, vertices_m - centre_m) + offset_m
    plane = seen[:, :2] / seen[:, 2:]
    low, high = plane.min(axis=0), plane.max(axis=0)
    fill = jax.random.uniform(keys[2], minval=frame.min_fill, maxval=frame.max_fill)
    side = jnp.max(high - low) / fill
    shift = sample_crop_shift(keys[3], (high - low) / side, frame.centre_jitter, truncation_share)
    crop_centre = (low + high) / 2 + shift * side
    camera = Camera(focal=1 / side, principal=0.5 - crop_centre / side)
    return Framing(rotation, centre_m, offset_m, camera)


def _sample_frame(key, config) -> _Frame:
    """The config's own or, in a share of pictures, a close-up."""
    own = _Frame(*(getattr(config, name) for name in _Frame._fields))
    if config.closeup_share == 0:
        return own
    is_closeup = jax.random.bernoulli(key, config.closeup_share)
    return _Frame(*(jnp.where(is_closeup, *pair) for pair in zip(_CLOSEUP, own, strict=True)))
