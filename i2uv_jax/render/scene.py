"""From a PRNG key to a batch of pictures of hands with their exact geometry.

`sample_batch` is the renderer's whole interface: pure, jit-able (hand, config and batch size
static), deterministic per key on one backend. A scene is a hand of random shape and pose, seen from
a random direction through a random pinhole camera, under random light, before a random background;
realism beyond that is the business of the modules it calls.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.config import RenderConfig
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import pose_hand, rest_hand
from i2uv_jax.hand.pose_prior import sample_pose
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.render.background import sample_background
from i2uv_jax.render.rasterise import Fragments, interpolate, rasterise
from i2uv_jax.render.sensor import apply_sensor
from i2uv_jax.render.shading import linear_to_srgb, sample_light, sample_skin
from i2uv_jax.render.view import sample_view
from i2uv_jax.types import Batch, Camera


class _PlacedHand(NamedTuple):
    """A hand in front of its camera; the forearm's vertices follow the hand's."""

    vertices_m: Float[Array, "*b v+a 3"]
    keypoints_m: Float[Array, "*b 21 3"]
    rest_vertices_m: Float[Array, "*b v+a 3"]
    camera: Camera


def sample_batch(key: Array, hand: Hand, config: RenderConfig, batch_size: int) -> Batch:
    """Renders `batch_size` random right hands.

    Args:
      key: decides everything; the same key gives the same batch.
      hand: the rigged hand to show.
      config: what is drawn, and the sizes of pictures and UV maps.
    """
    placing_key, picture_key = jax.random.split(key)
    placing_keys = jax.random.split(placing_key, batch_size)
    placed = jax.vmap(lambda one_key: _place_hand(one_key, hand, config))(placing_keys)
    fragments = rasterise_scene(
        hand, placed.vertices_m, placed.camera, config.image_size * config.supersampling
    )
    colour_key, finish_key = jax.random.split(picture_key)
    colours = jax.vmap(lambda one_key, one_hand: _shade(one_key, hand, one_hand))(
        jax.random.split(colour_key, batch_size), placed
    )
    # Light is as smooth as the mesh is fine: it is worked out at vertices and interpolated.
    skin_light = interpolate(fragments, all_faces(hand), colours)
    image, hand_mask = jax.vmap(
        lambda one_key, one_light, face: _finish(one_key, hand, config, one_light, face)
    )(jax.random.split(finish_key, batch_size), skin_light, fragments.face)

    vertices = placed.vertices_m[:, : hand.num_vertices]
    wrist_depth_m = placed.keypoints_m[:, WRIST, 2]
    vertices_crop = to_crop_space(placed.camera, vertices, wrist_depth_m)
    keypoints_2d = project(placed.camera, placed.keypoints_m)
    return Batch(
        image=image,
        uv_map=uv_map_from_vertices(build_tables(hand.atlas, config.uv_map_size), vertices_crop),
        vertices=vertices,
        keypoints=placed.keypoints_m,
        hand_mask=hand_mask,
        keypoint_visible=jnp.all((keypoints_2d >= 0) & (keypoints_2d <= 1), axis=-1),
        camera=placed.camera,
    )


def all_faces(hand: Hand) -> np.ndarray:
    """Triangles of the hand, then of the forearm, over the vertices of the one, then the other."""
    return np.concatenate([hand.faces, hand.forearm_faces])


def rasterise_scene(
    hand: Hand, vertices_m: Float[Array, "b v+a 3"], camera: Camera, size: int
) -> Fragments:
    """What each pixel of a `size` x `size` crop sees of hand and forearm (camera frame, metres)."""
    points_px = size * project(camera, vertices_m)
    return rasterise(points_px, vertices_m[..., 2], all_faces(hand), height=size, width=size)


def _place_hand(key, hand, config) -> _PlacedHand:
    """One posed hand, turned, set at a distance, and the crop camera that frames it."""
    shape_key, pose_key, view_key, camera_key = jax.random.split(key, 4)
    shape = sample_shape(shape_key)
    rest = rest_hand(hand, shape)
    posed = pose_hand(hand, shape, sample_pose(pose_key))
    rotation = sample_view(
        view_key,
        config.tilt_degrees,
        upright_share=config.upright_share,
        roll_degrees=config.roll_degrees,
    )
    keys = jax.random.split(camera_key, 4)
    distance_m = jnp.exp(jax.random.uniform(keys[0], minval=jnp.log(0.25), maxval=jnp.log(1.5)))
    # Off the optical axis the hand is seen from another side, as in any wide picture.
    slant = config.max_slant * jax.random.uniform(keys[1], (2,), minval=-1, maxval=1)
    offset = distance_m * jnp.array([slant[0], slant[1], 1.0])
    centre = posed.vertices.mean(axis=0)

    def to_camera_frame(points):
        return (points - centre) @ rotation.T + offset

    vertices = to_camera_frame(posed.vertices)
    plane = vertices[:, :2] / vertices[:, 2:]
    low, high = plane.min(axis=0), plane.max(axis=0)
    fill = jax.random.uniform(keys[2], minval=config.min_fill, maxval=config.max_fill)
    side = jnp.max(high - low) / fill
    jitter = config.centre_jitter * jax.random.uniform(keys[3], (2,), minval=-1, maxval=1)
    crop_centre = (low + high) / 2 + jitter * side
    return _PlacedHand(
        vertices_m=jnp.concatenate([vertices, to_camera_frame(posed.forearm_vertices)]),
        keypoints_m=to_camera_frame(posed.keypoints),
        rest_vertices_m=jnp.concatenate([rest.vertices, rest.forearm_vertices]),
        camera=Camera(focal=1 / side, principal=0.5 - crop_centre / side),
    )


def _shade(key, hand, placed):
    """Linear colour of each vertex under a random light."""
    skin_key, light_key = jax.random.split(key)
    faces = all_faces(hand)
    rest_normals = vertex_normals(placed.rest_vertices_m, faces)
    albedo = sample_skin(skin_key, placed.rest_vertices_m, rest_normals)
    normals = vertex_normals(placed.vertices_m, faces)
    irradiance, gloss = sample_light(light_key, normals, normalize(-placed.vertices_m))
    return albedo * irradiance + gloss


def _finish(key, hand, config, skin_light, face):
    """One picture (sRGB, 0 to 1) and its hand mask, from the light and face at each sample."""
    background_key, sensor_key = jax.random.split(key)
    covered = (face >= 0).astype(jnp.float32)
    is_hand = covered * (face < len(hand.faces))
    skin_light = _average_samples(skin_light, config.supersampling)
    coverage = _average_samples(covered[..., None], config.supersampling)
    hand_mask = _average_samples(is_hand[..., None], config.supersampling)[..., 0]
    background = sample_background(background_key, config.image_size)
    # Pixels on the outline mix skin and background; where there is no skin its colour is unused.
    skin = linear_to_srgb(skin_light / jnp.maximum(coverage, 1e-6))
    image = coverage * jnp.clip(skin, 0, 1) + (1 - coverage) * background
    return apply_sensor(sensor_key, image), hand_mask


def _average_samples(samples, supersampling):
    """Box filter from (h s, w s, c) samples to (h, w, c) pixels."""
    if supersampling == 1:
        return samples
    height, width, channels = samples.shape
    blocks = samples.reshape(
        height // supersampling, supersampling, width // supersampling, supersampling, channels
    )
    return blocks.mean(axis=(1, 3))
