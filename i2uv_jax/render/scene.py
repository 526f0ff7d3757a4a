"""From a PRNG key to a batch of pictures of hands with their exact geometry.

`sample_batch` is the renderer's whole interface: pure, jit-able (hand, config and batch size
static), deterministic per key on one backend. A scene is a hand of random shape and pose, seen from
a random direction through a random pinhole camera, under random light, before a random background.
What hands look like is the business of `render.appearance` and the modules below it; with all its
strengths at zero, of `render.shading` alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.config import RenderConfig
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import rest_hand
from i2uv_jax.ops.devices import on_own_device
from i2uv_jax.ops.each_picture import each_picture
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.appearance import build_appearance_tables, dress, sample_look, shade_samples
from i2uv_jax.render.assets import RenderAssets, load_render_assets
from i2uv_jax.render.background import sample_background
from i2uv_jax.render.colour import linear_to_srgb
from i2uv_jax.render.covered import map_covered
from i2uv_jax.render.framing import Placement, sample_placement
from i2uv_jax.render.motion import Motion, between, motion_over
from i2uv_jax.render.occluder_light import light_occluders
from i2uv_jax.render.occluders import OCCLUDER_FACES, Occluders, sample_occluders
from i2uv_jax.render.plain import is_plain
from i2uv_jax.render.rasterise import find_visible_faces, interpolate, rasterise
from i2uv_jax.render.representatives import find_representatives
from i2uv_jax.render.sensor import apply_sensor
from i2uv_jax.render.shading import sample_light, sample_skin
from i2uv_jax.render.skin_atlas import all_faces
from i2uv_jax.render.spectrum import mix_amplitudes
from i2uv_jax.types import Batch, Camera


class PlacedHand(NamedTuple):
    """A hand in front of its camera; the forearm's vertices follow the hand's."""

    vertices_m: Float[Array, "*b v+a 3"]
    keypoints_m: Float[Array, "*b 21 3"]
    joints_m: Float[Array, "*b j 3"]
    rest_vertices_m: Float[Array, "*b v+a 3"]
    camera: Camera
    occluders: Occluders | None
    """None where the config leaves every kind out."""


class HandPicture(NamedTuple):
    """What is drawn of the hand, before a background is put behind it."""

    colour: Float[Array, "*b h w 3"]
    """Linear; of no meaning where nothing is covered."""
    coverage: Float[Array, "*b h w 1"]
    """Share of each pixel that hand, forearm and occluders cover."""
    hand_mask: Float[Array, "*b h w"]


@struct.dataclass
class PictureKeys:
    """What decides each picture of a batch; all leaves have the batch's axis."""

    placing: PRNGKeyArray
    colour: PRNGKeyArray
    background: PRNGKeyArray
    sensor: PRNGKeyArray
    mixing: Float[Array, "b 2"]
    """Uniform from 0 to 1: whether amplitudes are mixed, and how far."""
    motion: Motion | None = None
    """None where hands do not move."""


def sample_batch(
    key: Array,
    hand: Hand,
    config: RenderConfig,
    batch_size: int,
    assets: RenderAssets | None = None,
    *,
    sharding: NamedSharding | None = None,
    is_sequence: bool = False,
) -> Batch:
    """Renders `batch_size` random right hands, or as many frames of one that moves.

    Args:
      key: decides everything; the same key gives the same batch.
      hand: the rigged hand to show.
      config: what is drawn, and the sizes of pictures and UV maps.
      assets: what `load_render_assets` gives for this config. Without, it is loaded while this is
        traced and becomes a constant of the compiled program: handy, but no way to pass many
        photographic skins.
      sharding: splits the batch over devices, each of which renders its own pictures and nothing
        else.
        Pictures are the same for any number of devices that leaves each an even number of them.
      is_sequence: the pictures are frames of one hand that goes from one random pose to another;
        all else is the same, the sensor's noise, too.
    """
    keys = (sequence_keys if is_sequence else picture_keys)(key, batch_size)
    assets = load_render_assets(config, hand) if assets is None else assets

    def render(keys: PictureKeys, assets: RenderAssets) -> Batch:
        return _render(keys, hand, config, assets)

    return on_own_device(render, sharding, whole=[1])(keys, assets)


def picture_keys(key: Array, batch_size: int) -> PictureKeys:
    """What decides each picture of `sample_batch(key, ...)`."""
    placing_key, picture_key = jax.random.split(hash_key(key))
    colour_key, finish_key = jax.random.split(picture_key)
    background_key, mix_key, sensor_key = jax.random.split(finish_key, 3)
    return PictureKeys(
        placing=jax.random.split(placing_key, batch_size),
        colour=jax.random.split(colour_key, batch_size),
        background=jax.random.split(background_key, batch_size),
        sensor=jax.random.split(sensor_key, batch_size),
        mixing=jax.random.uniform(mix_key, (2, batch_size)).T,
    )


def sequence_keys(key: Array, num_frames: int) -> PictureKeys:
    """What decides each frame of `sample_batch(key, ..., is_sequence=True)`."""
    first = picture_keys(key, 1)
    keys = jax.tree.map(lambda leaf: jnp.repeat(leaf, num_frames, axis=0), first)
    goal = jax.random.fold_in(first.placing[0], 1)
    return keys.replace(motion=motion_over(goal, num_frames))


def _render(keys: PictureKeys, hand, config, assets) -> Batch:
    placed, picture = draw_hands(keys.placing, keys.colour, hand, config, assets, keys.motion)
    image = _finish(keys, config, assets.backgrounds, picture)

    vertices = placed.vertices_m[:, : hand.num_vertices]
    wrist_depth_m = placed.keypoints_m[:, WRIST, 2]
    vertices_crop = to_crop_space(placed.camera, vertices, wrist_depth_m)
    keypoints_2d = project(placed.camera, placed.keypoints_m)
    return Batch(
        image=image,
        uv_map=uv_map_from_vertices(build_tables(hand.atlas, config.uv_map_size), vertices_crop),
        vertices=vertices,
        keypoints=placed.keypoints_m,
        hand_mask=picture.hand_mask,
        keypoint_visible=jnp.all((keypoints_2d >= 0) & (keypoints_2d <= 1), axis=-1),
        camera=placed.camera,
    )


def sample_placements(key: Array, hand: Hand, config: RenderConfig, batch_size: int) -> Placement:
    """The hands that `sample_batch` shows for the same arguments; nothing is drawn."""
    keys = picture_keys(key, batch_size).placing
    return jax.vmap(lambda one_key: _placement(one_key, hand, config)[0])(keys)


def draw_hands(
    placing_keys: PRNGKeyArray,
    colour_keys: PRNGKeyArray,
    hand: Hand,
    config: RenderConfig,
    assets: RenderAssets,
    motion: Motion | None = None,
) -> tuple[PlacedHand, HandPicture]:
    """Random hands before nothing: where each stands, and what is drawn of it.

    Args:
      placing_keys: decide shape, pose, view and occluders; one a picture, of the light generator.
      colour_keys: decide skin, light and what is worn.
      motion: how far each hand has moved from where its key places it.
    """
    placed = jax.vmap(lambda key, moved: _place_hand(key, moved, hand, config))(
        placing_keys, motion
    )
    if is_plain(config):
        return placed, _draw_plainly(colour_keys, hand, config, placed)
    return placed, _draw(colour_keys, hand, config, assets.skins, placed)


class _Triangles(NamedTuple):
    """All of a batch's scenes: faces count through the hand's, the forearm's, the occluders'."""

    points_px: Float[Array, "b v 2"]
    depth_m: Float[Array, "b v"]
    faces: np.ndarray


def _project_scene(hand, vertices_m, occluders, camera, size) -> _Triangles:
    """Triangles on a screen of `size` x `size` pixels, which is the crop."""
    faces = all_faces(hand)
    if occluders is not None:
        faces = np.concatenate([faces, OCCLUDER_FACES + vertices_m.shape[1]])
        vertices_m = jnp.concatenate([vertices_m, occluders.vertices_m], axis=1)
    return _Triangles(size * project(camera, vertices_m), vertices_m[..., 2], faces)


def _placement(key, hand, config) -> tuple[Placement, PRNGKeyArray]:
    """Where a hand stands, and the key that is left for what hides it."""
    *keys, occluder_key = jax.random.split(key, 5)
    share = config.occlusion.truncation_share
    return sample_placement(keys, hand, config, truncation_share=share), occluder_key


def _place_hand(key, motion, hand, config) -> PlacedHand:
    """One posed hand, turned, set at a distance, and the crop camera that frames it."""
    placement, occluder_key = _placement(key, hand, config)
    if motion is not None:
        goal, _ = _placement(motion.goal, hand, config)
        placement = between(placement, goal, motion.share, hand)
    shape, _, posed, framing = placement
    rest = rest_hand(hand, shape)
    kinds = config.occlusion
    keypoints = framing.to_camera_frame(posed.keypoints)
    has_occluders = any((kinds.front_share, kinds.grasp_share, kinds.limb_share))
    return PlacedHand(
        vertices_m=framing.to_camera_frame(
            jnp.concatenate([posed.vertices, posed.forearm_vertices])
        ),
        keypoints_m=keypoints,
        joints_m=framing.to_camera_frame(posed.joints),
        rest_vertices_m=jnp.concatenate([rest.vertices, rest.forearm_vertices]),
        camera=framing.camera,
        occluders=sample_occluders(occluder_key, keypoints, kinds) if has_occluders else None,
    )


def _draw_plainly(keys, hand, config, placed) -> HandPicture:
    """Pictures of hands of one tone in simple light, worked out at vertices and interpolated."""
    size = config.image_size * config.supersampling
    triangles = _project_scene(hand, placed.vertices_m, placed.occluders, placed.camera, size)
    fragments = rasterise(*triangles, height=size, width=size)
    colours = jax.vmap(lambda key, one: _shade_plainly(key, hand, one))(keys, placed)
    samples = interpolate(fragments, triangles.faces, colours)
    coverage, hand_mask = _coverage(hand, config, fragments.face)
    colour = _average_samples(samples, config.supersampling) / jnp.maximum(coverage, 1e-6)
    return HandPicture(colour, coverage, hand_mask)


def _shade_plainly(key, hand, placed):
    """Linear colour of each vertex under a random light."""
    skin_key, light_key = jax.random.split(key)
    faces = all_faces(hand)
    rest_normals = vertex_normals(placed.rest_vertices_m, faces)
    albedo = sample_skin(skin_key, placed.rest_vertices_m, rest_normals)
    normals, vertices = vertex_normals(placed.vertices_m, faces), placed.vertices_m
    if (occluders := placed.occluders) is not None:
        vertices = jnp.concatenate([vertices, occluders.vertices_m])
        albedo = jnp.concatenate([albedo, occluders.albedo])
        normals = jnp.concatenate([normals, vertex_normals(occluders.vertices_m, OCCLUDER_FACES)])
    irradiance, gloss = sample_light(light_key, normals, normalize(-vertices))
    return albedo * irradiance + gloss


def _draw(keys, hand, config, textures, placed) -> HandPicture:
    """Pictures of hands with the skin, light and accessories of `render.appearance`."""
    tables = build_appearance_tables(hand, config.skin.texture_size)
    looks = jax.vmap(lambda key: sample_look(key, hand, config, textures))(keys)
    dressed = jax.vmap(
        lambda look, one: dress(
            look, tables, config, one.vertices_m, one.joints_m, one.keypoints_m, one.occluders
        )
    )(looks, placed)
    size = config.image_size * config.supersampling
    triangles = _project_scene(hand, dressed.vertices_m, placed.occluders, placed.camera, size)
    seen = find_visible_faces(*triangles, height=size, width=size)
    coverage, hand_mask = _coverage(hand, config, seen.face)
    shown = find_representatives(seen, config.supersampling)
    colour = _shade(looks, dressed, tables, config, textures, placed.camera, shown)
    if placed.occluders is not None:
        lit = jax.vmap(lambda light, one: light_occluders(light, config.light, one))(
            looks.light, placed.occluders
        )
        colour = _add_occluders(colour, shown, len(tables.faces), lit)
    return HandPicture(shown.mean_colour(colour), coverage, hand_mask)


def _shade(looks, dressed, tables, config, textures, camera, shown):
    """Linear colour (b, n, 3) of each pixel's representatives; zero off hand and forearm."""
    rows = dressed.face_rows.reshape(-1, dressed.face_rows.shape[-1])
    num_faces = len(tables.faces)

    def shade(picture, sample):
        look, one_camera = jax.tree.map(lambda leaf: leaf[picture], (looks, camera))
        # Samples that only fill a piece up may see nothing, or an occluder.
        face = jnp.clip(shown.face[picture, sample], 0, num_faces - 1)
        place, weights = shown.locate(picture, sample, face)
        return shade_samples(
            look, tables, config, textures, one_camera, dressed.vertices_m[picture, 0, 2],
            dressed.band_axes[picture], face,
            rows[picture * num_faces + face], weights, place,
        )  # fmt: skip

    is_skin = (shown.face >= 0) & (shown.face < num_faces)
    return map_covered(shade, is_skin, jnp.zeros((*is_skin.shape, 3)))


def _add_occluders(colour, shown, first_face, colours):
    """Linear colour (b, n, 3) of each pixel's representatives, now on occluders, too.

    Faces of occluders start at `first_face`; `colours` are those of their vertices.
    """
    corners = colours[:, OCCLUDER_FACES].reshape(len(colours), len(OCCLUDER_FACES), 9)

    def mix(picture, sample):
        face = jnp.maximum(shown.face[picture, sample], first_face)
        _, weights = shown.locate(picture, sample, face)
        mixed = corners[picture, face - first_face].T
        return sum(weights[k] * mixed[3 * k : 3 * k + 3] for k in range(3))

    return map_covered(mix, shown.face >= first_face, colour)


def _coverage(hand, config, face):
    """Share of each pixel that anything covers (b, h, w, 1); that the hand does (b, h, w)."""
    covered = (face >= 0).astype(jnp.float32)
    is_hand = covered * (face < len(hand.faces))
    coverage = _average_samples(covered[..., None], config.supersampling)
    return coverage, _average_samples(is_hand[..., None], config.supersampling)[..., 0]


def _finish(keys: PictureKeys, config, pictures, picture):
    """The batch's images (sRGB, 0 to 1): hands before backgrounds, through cameras."""
    size, sensor = config.image_size, config.sensor
    backgrounds = each_picture(
        lambda key: sample_background(key, size, config.background, pictures), keys.background
    )
    spectrum_share = sensor.strength * sensor.spectrum_share
    # Another picture's background costs nothing: the other's of each pair of neighbours.
    partner = np.minimum(np.arange(len(backgrounds)) ^ 1, len(backgrounds) - 1)

    def finish(sensor_key, mixing, colour, coverage, background, partner):
        # Pixels on the outline mix skin and background; its colour means nothing without skin.
        skin = jnp.clip(linear_to_srgb(colour), 0, 1)
        image = coverage * skin + (1 - coverage) * background
        if spectrum_share > 0:
            lot, share = mixing
            image = jax.lax.cond(
                lot < spectrum_share,
                lambda image: mix_amplitudes(
                    image, backgrounds[partner], share, cycles=sensor.spectrum_cycles
                ),
                lambda image: image,
                image,
            )
        return apply_sensor(sensor_key, jnp.clip(image, 0, 1), sensor)

    return each_picture(
        finish, keys.sensor, keys.mixing, picture.colour, picture.coverage, backgrounds, partner
    )


def _average_samples(samples, supersampling):
    """Box filter from (b, h s, w s, c) samples to (b, h, w, c) pixels."""
    if supersampling == 1:
        return samples
    batch, height, width, channels = samples.shape
    blocks = samples.reshape(
        batch, height // supersampling, supersampling, width // supersampling, supersampling,
        channels,
    )  # fmt: skip
    return blocks.mean(axis=(2, 4))
