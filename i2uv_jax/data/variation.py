"""The same hands seen once more: turned, scaled and shifted in the picture, in other colours.

A similarity of the picture plane changes picture, UV map and camera together and leaves the label
exact: the crop of another camera that is turned about its optical axis. What another network saw in
the picture (`Batch.seen_keypoints`) goes with it, errors and all. Pure and jit-able.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.camera import project
from i2uv_jax.geometry.similarity import PictureSimilarity, clockwise_turn
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.shading import sample_tints
from i2uv_jax.types import Batch, Camera

_SCALE_SPREAD = 0.08
"""Standard deviation of the logarithm of the scale."""
_MAX_SHIFT = 0.05
"""Largest shift along each axis, in crop sides."""


def vary_batch(
    key: Array,
    batch: Batch,
    *,
    turn_degrees: float | None,
    strength: float = 1.0,
    zoom: float = 1.0,
    size: int | None = None,
) -> Batch:
    """Each picture under a random similarity of its own and in light of another colour.

    Args:
      turn_degrees: standard deviation of the turn; None turns by any angle.
      strength: scales how much scale, place and colour vary.
      zoom: enlarges what is in the middle of all pictures.
      size: side in pixels of the pictures that come out; that of those that go in unless given.
    """
    turn_key, scale_key, shift_key, gain_key = jax.random.split(hash_key(key), 4)
    count = batch.image.shape[0]
    if turn_degrees is None:
        angle = jax.random.uniform(turn_key, (count,), maxval=2 * jnp.pi)
    else:
        angle = jnp.deg2rad(turn_degrees) * jax.random.normal(turn_key, (count,))
    scale = zoom * jnp.exp(strength * _SCALE_SPREAD * jax.random.normal(scale_key, (count,)))
    shift = strength * _MAX_SHIFT * jax.random.uniform(shift_key, (count, 2), minval=-1, maxval=1)
    batch = transform_batch(batch, angle, scale, shift, size=size)
    gain = sample_tints(gain_key, count)[:, None, None] ** strength
    return batch.replace(image=jnp.clip(batch.image * gain, 0, 1))


def transform_batch(
    batch: Batch,
    angle: Float[Array, "b"],
    scale: Float[Array, "b"],
    shift: Float[Array, "b 2"],
    *,
    size: int | None = None,
) -> Batch:
    """Takes crop coordinates p of each picture to scale R(angle) (p - 1/2) + 1/2 + shift.

    Positive angles (radians) turn x towards y: clockwise as seen. What comes into the picture from
    beyond its edge repeats the edge.

    Args:
      size: side in pixels of the pictures that come out; that of those that go in unless given.
        Sampling is bilinear: `scale` times both sides' ratio far from 1 blurs or aliases.
    """
    moved = PictureSimilarity(clockwise_turn(angle), scale, shift)
    camera = Camera(
        focal=scale * batch.camera.focal, principal=moved(batch.camera.principal[:, None])[:, 0]
    )
    keypoints = moved.turned(batch.keypoints)
    plane = project(camera, keypoints)
    seen = batch.seen_keypoints
    image = moved.of_image(
        jnp.concatenate([batch.image, batch.hand_mask[..., None]], axis=-1),
        size or batch.image.shape[1],
        by_picture=True,
    )
    return batch.replace(
        image=image[..., :3],
        hand_mask=image[..., 3],
        uv_map=moved.of_uv_map(batch.uv_map),
        vertices=moved.turned(batch.vertices),
        keypoints=keypoints,
        keypoint_visible=batch.keypoint_visible & jnp.all((plane >= 0) & (plane <= 1), axis=-1),
        camera=camera,
        seen_keypoints=None if seen is None else moved.of_points(seen),
    )
