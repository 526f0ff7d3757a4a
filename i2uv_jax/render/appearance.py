"""How a hand looks, between its geometry and its pixels: skin, light and what is worn.

Three steps, each for one picture: `sample_look` draws a person and a light; `dress` moves the drawn
vertices and finds what light reaches each of them; `shade_samples` turns what samples see into
linear colours. Light that varies smoothly (normals, occlusion, shadows) is worked out at vertices
and interpolated; all else per sample, so that texture survives at any picture size. Pure, jit-able.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from i2uv_jax.config import RenderConfig
from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.render.accessories import (
    Accessories,
    Surface,
    dress_samples,
    dress_vertices,
    sample_accessories,
)
from i2uv_jax.render.colour import luminance
from i2uv_jax.render.light import (
    NUM_LAMPS,
    Light,
    compress_highlights,
    reflected_light,
    sample_light_rig,
)
from i2uv_jax.render.occluders import Occluders
from i2uv_jax.render.occlusion import foreign_shares, hand_capsules, visibility
from i2uv_jax.render.skin import Skin, look_up_skin, mean_log, sample_skin_look
from i2uv_jax.render.skin_atlas import all_faces, atlas_corners, mean_rest_vertices_mm
from i2uv_jax.render.skin_textures import SkinTextures
from i2uv_jax.types import Camera

_TIPS = np.array([KEYPOINT_NAMES.index(name) for name in KEYPOINT_NAMES if name.endswith("tip")])
_CORNER_CHANNELS = 4 + NUM_LAMPS
_ELBOW_MM = 215.0
"""Vertices this far from the wrist belong to the forearm's open end."""
_EXTENSION_M = 0.35
"""How far that end is drawn out, so that it lies outside nearly every picture."""


@struct.dataclass
class Tables:
    """What is fixed for a hand, as NumPy arrays: one row per vertex or face of [hand; forearm]."""

    rest_mm: Float[np.ndarray, "v 3"]
    along_mm: Float[np.ndarray, "v"]
    """Distance from the wrist along the forearm, in the mean adult at rest."""
    is_hand: Bool[np.ndarray, "v"]
    foreign: Float[np.ndarray, "k v"]
    faces: Int[np.ndarray, "f 3"]
    face_rows: Float[np.ndarray, "f 16"]
    """Atlas coordinates of three corners (6), their rest positions (9), chart orientation (1)."""
    tangent_shares: Float[np.ndarray, "f 2"]
    """Multiples of a face's first two edges that sum to the direction of the atlas's x."""
    texel_mm: float = struct.field(pytree_node=False)
    """Side of a texel on the mean adult's skin."""


class Look(NamedTuple):
    """A person and the light they are in."""

    skin: Skin
    light: Light
    worn: Accessories
    has_forearm: Array


class Dressed(NamedTuple):
    """Geometry as it is drawn, with what varies smoothly over it."""

    vertices_m: Float[Array, "v 3"]
    """Depth 0 for those that are not shown."""
    face_rows: Float[Array, "f c"]
    """Three corners' normal, ambient share and lamps' shares, then the face's tangent."""
    band_axes: Float[Array, "2 3"]
    """Along the finger with the ring; along the forearm."""


def build_appearance_tables(hand: Hand, texture_size: int) -> Tables:
    """Tables of a hand; host, once per trace."""
    faces, corners = all_faces(hand), atlas_corners(hand)
    rest = mean_rest_vertices_mm(hand).astype(np.float32)
    scaled = corners * np.array([1.5, 1.0])
    first, second = scaled[:, 1] - scaled[:, 0], scaled[:, 2] - scaled[:, 0]
    det = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    orientation = np.sign(det)[:, None]
    tangent_shares = np.stack([second[:, 1], -first[:, 1]], axis=1) * orientation
    a, b, c = (rest[faces[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)[: len(hand.faces)].sum()
    texel_area = np.abs(det[: len(hand.faces)]).sum() * texture_size**2
    rows = [corners.reshape(-1, 6), rest[faces].reshape(-1, 9), orientation]
    return Tables(
        rest_mm=rest,
        along_mm=rest @ hand.forearm_axis,
        is_hand=np.arange(len(rest)) < hand.num_vertices,
        foreign=foreign_shares(hand),
        faces=faces,
        face_rows=np.concatenate(rows, axis=1).astype(np.float32),
        tangent_shares=tangent_shares.astype(np.float32),
        texel_mm=float(np.sqrt(area / texel_area)),
    )


def sample_look(key: Array, hand: Hand, config: RenderConfig, textures: SkinTextures) -> Look:
    """A random person in random light, wearing random things."""
    skin_key, light_key, worn_key, forearm_key = jax.random.split(key, 4)
    skin = sample_skin_look(skin_key, config.skin, textures)
    brightness = luminance(jnp.exp(mean_log(skin)))
    return Look(
        skin=skin,
        light=sample_light_rig(light_key, config.light, brightness),
        worn=sample_accessories(worn_key, hand, config.forearm),
        has_forearm=jax.random.bernoulli(forearm_key, config.forearm.share),
    )


def dress(
    look: Look,
    tables: Tables,
    config: RenderConfig,
    vertices_m: Float[Array, "v 3"],
    joints_m: Float[Array, "j 3"],
    keypoints_m: Float[Array, "21 3"],
    occluders: Occluders | None,
) -> Dressed:
    """The drawn geometry of a posed hand and forearm (camera frame, metres), and its light."""
    wrist = joints_m[0]
    is_end = tables.along_mm > _ELBOW_MM
    end = jnp.mean(vertices_m[np.flatnonzero(is_end)], axis=0)
    out = normalize(end - wrist)
    stretch = np.clip((tables.along_mm - _ELBOW_MM) / 60, 0, 1)[:, None]
    vertices = vertices_m + _EXTENSION_M * stretch * out
    bare_normals = vertex_normals(vertices, tables.faces)
    vertices = dress_vertices(
        look.worn.sleeve, tables.rest_mm, tables.along_mm, vertices, bare_normals
    )
    normals = vertex_normals(vertices, tables.faces)
    index, little = (joints_m[JOINT_NAMES.index(f"{f}_mcp")] for f in ("index", "little"))
    length = jnp.linalg.norm(joints_m[JOINT_NAMES.index("middle_mcp")] - wrist)
    capsules = hand_capsules(
        joints_m, keypoints_m[_TIPS], end, normalize(index - little), length / 0.095
    )
    foreign = jnp.asarray(tables.foreign)
    if occluders is not None:
        capsules = jax.tree.map(
            lambda hand, things: jnp.concatenate([hand, things]), capsules, occluders.capsules
        )
        seen = jnp.broadcast_to(occluders.present[:, None], (len(occluders.present), len(vertices)))
        foreign = jnp.concatenate([foreign, seen.astype(foreign.dtype)])
    ambient, visible = visibility(
        vertices, normals, capsules, foreign, look.light.directions, look.light.spreads
    )
    ambient = 1 + config.light.occlusion * (ambient - 1)
    visible = 1 + config.light.shadows * (visible.T - 1)
    per_vertex = jnp.concatenate([normals, ambient[:, None], visible], axis=-1)
    rows = per_vertex[tables.faces].reshape(len(tables.faces), 3 * _CORNER_CHANNELS)
    corners = vertices[tables.faces]
    edges = corners[:, 1:] - corners[:, :1]
    tangent = normalize(jnp.sum(tables.tangent_shares[..., None] * edges, axis=1))
    # The rasteriser leaves out triangles that touch depth 0.
    shown = look.has_forearm | tables.is_hand
    ring = look.worn.ring_joint
    return Dressed(
        vertices_m=vertices * shown[:, None],
        face_rows=jnp.concatenate([rows, tangent], axis=-1),
        band_axes=jnp.stack([normalize(joints_m[ring + 1] - joints_m[ring]), out]),
    )


def shade_samples(
    look: Look,
    tables: Tables,
    config: RenderConfig,
    textures: SkinTextures,
    camera: Camera,
    depth_m: Array,
    band_axes: Float[Array, "2 3"],
    face: Int[Array, "n"],
    face_rows: Float[Array, "n c"],
    weights: Float[Array, "3 n"],
    place: Float[Array, "n 2"],
) -> Float[Array, "3 n"]:
    """Linear colour of samples of one picture.

    Args:
      camera: the crop's.
      depth_m: of the hand, which tells the size of a pixel on it.
      band_axes: see `Dressed`.
      face: what each sample sees, an index into [faces; forearm_faces].
      face_rows: that face's row of `Dressed.face_rows`.
      weights: barycentric weights in that face.
      place: crop coordinates of the samples.
    """
    # Components first, for the sake of CPUs; the barrier keeps the compiler from gathering anew
    # for everything that follows.
    row, fixed, weights, place = jax.lax.optimization_barrier(
        (face_rows.T, jnp.asarray(tables.face_rows)[face].T, weights, place.T)
    )

    def mix(values, channels):
        return sum(weights[k] * values[k * channels : (k + 1) * channels] for k in range(3))

    smooth = mix(row, _CORNER_CHANNELS)
    uv, rest_mm, orientation = mix(fixed, 2), mix(fixed[6:], 3), fixed[15]
    sample_mm = 1e3 * depth_m / (camera.focal * config.image_size)
    skin = look_up_skin(look.skin, textures, uv, sample_mm / tables.texel_mm)
    surface = dress_samples(
        look.worn,
        Surface(
            albedo=skin.albedo,
            gloss=skin.gloss,
            sharpness=14 + 8 * jnp.clip(skin.gloss, 0, 4),
            metal=jnp.zeros_like(skin.gloss),
            ambient=smooth[3],
            slopes=jnp.zeros((2, len(skin.gloss))),
        ),
        rest_mm,
        skin.noise,
    )
    normals, tangent = smooth[:3], row[-3:]
    bitangent = orientation * jnp.cross(normals, tangent, axis=0)
    # What rises along a direction leans away from it. Bands run along the surface themselves.
    normals -= skin.slope[0] * tangent + skin.slope[1] * bitangent
    for axis, slope in zip(band_axes, surface.slopes, strict=True):
        normals -= slope * axis[:, None]
    normals = _unit(normals)
    towards = (place - camera.principal[:, None]) / camera.focal
    view = -_unit(jnp.concatenate([towards, jnp.ones_like(towards[:1])]))
    normals, view, surface = jax.lax.optimization_barrier((normals, view, surface))
    radiance = reflected_light(
        look.light,
        config.light,
        normals=normals,
        view=view,
        albedo=surface.albedo,
        gloss=surface.gloss,
        sharpness=surface.sharpness,
        metal=surface.metal,
        ambient=surface.ambient,
        visible=smooth[4:],
    )
    return compress_highlights(radiance)


def _unit(vectors):
    """Unit vectors, components first."""
    return vectors * jax.lax.rsqrt(jnp.sum(vectors * vectors, axis=0) + 1e-12)
