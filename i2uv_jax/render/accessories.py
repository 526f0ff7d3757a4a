"""What people wear on hand and forearm: sleeves, rings, watches and bracelets. Pure and jit-able.

All of it is placed by anatomy: by a point's position on the mean adult's hand at rest (millimetres,
hand frame), whatever the shape and pose. A sleeve also pushes the drawn vertices outwards (labels
keep the bare hand's); rings and bands are too narrow for the mesh: they change colour, gloss and
the direction of the surface.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.config import ForearmConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.ops.dot3 import dot3
from i2uv_jax.render.draws import draw

_RING_JOINTS = np.array(
    [JOINT_NAMES.index(f"{f}_mcp") for f in ("ring", "ring", "middle", "index", "little")]
)
_METALS = np.array([[0.9, 0.68, 0.32], [0.82, 0.8, 0.77], [0.85, 0.55, 0.42]], np.float32)
_WRIST_RADIUS_MM = 24.0
_BAND_HEIGHT = 0.8
"""Of a band's middle over its edges, in half widths."""


class Band(NamedTuple):
    """A ring around a finger or a strap around the wrist."""

    centre_mm: Float[Array, "3"]
    axis: Float[Array, "3"]
    half_width_mm: Array
    """0 for none."""
    reach_mm: Array
    """Points farther from the axis belong to another finger."""
    colour: Float[Array, "3"]
    metal: Array
    face_centre_mm: Float[Array, "3"]
    face_radius_mm: Array
    """Of a watch; 0 for none."""
    face_colour: Float[Array, "3"]


class Sleeve(NamedTuple):
    """Cloth over the forearm from a cuff on."""

    cuff_mm: Array
    """Distance from the wrist along the forearm at which it begins; huge for none."""
    looseness_m: Array
    fold_waves: Float[Array, "3 3"]
    fold_phases: Float[Array, "3"]
    colours: Float[Array, "2 3"]
    pattern: Array
    """0 plain, 1 stripes around, 2 stripes along, 3 checks."""
    stripes_mm: Array
    weave: Array
    """Strength of the cloth's grain."""


class Accessories(NamedTuple):
    sleeve: Sleeve
    bands: Band
    """Stacked: the ring, then what is on the wrist."""
    ring_joint: Array
    """The knuckle (index into `JOINT_NAMES`) of the finger that wears the ring."""
    axis: Float[Array, "3"]
    """From the wrist to the elbow."""


class Surface(NamedTuple):
    """Optical properties of each sample, as `light.reflected_light` takes them."""

    albedo: Float[Array, "3 n"]
    gloss: Float[Array, "n"]
    sharpness: Float[Array, "n"]
    metal: Float[Array, "n"]
    ambient: Float[Array, "n"]
    slopes: Float[Array, "2 n"]
    """Rise of the surface along the axis of each of `Accessories.bands`."""


def sample_accessories(key: Array, hand: Hand, config: ForearmConfig) -> Accessories:
    """Random things to wear, each with its share of hands that has one."""
    uniforms, folds = draw(key, 34, 12)
    sleeve, ring, band = jnp.split(uniforms, [16, 21])
    ring_joint = _pick(_RING_JOINTS, ring[0])
    bands = [
        _sample_ring(ring, hand, ring_joint, config.ring_share),
        _sample_wrist_band(band, hand, config.band_share),
    ]
    return Accessories(
        sleeve=_sample_sleeve(sleeve, folds.reshape(4, 3), config.sleeve_share),
        bands=jax.tree.map(lambda *leaves: jnp.stack(leaves), *bands),
        ring_joint=ring_joint,
        axis=jnp.asarray(hand.forearm_axis),
    )


def _sample_sleeve(u, folds, share):
    # Long sleeves end near the wrist, rolled-up ones anywhere.
    cuff = jnp.where(u[0] < 0.6, 8 + 22 * u[1], 25 + 175 * u[1])
    grey = u[2:4, None] ** 2
    hue = u[4:10].reshape(2, 3) ** 1.5
    return Sleeve(
        cuff_mm=jnp.where(u[10] < share, cuff, 1e6),
        looseness_m=1e-3 * (1.5 + 6.5 * u[11]),
        fold_waves=0.11 * folds[:3],
        fold_phases=4 * folds[3],
        colours=0.012 + 0.8 * (grey + u[12] ** 1.5 * (hue - grey)),
        pattern=jnp.sum(u[13] > jnp.array([0.62, 0.76, 0.88])),
        stripes_mm=3 * jnp.exp(1.8 * u[14]),
        weave=0.3 * u[15],
    )


def _sample_ring(u, hand, joint, share):
    axis = jnp.asarray(hand.bone_directions)[joint]
    centre = 1e3 * jnp.asarray(hand.mean_joints)[joint] + (20 + 9 * u[1]) * axis
    return Band(
        centre_mm=centre,
        axis=axis,
        half_width_mm=(1.2 + 2 * u[2]) * (u[3] < share),
        reach_mm=jnp.float32(14.0),
        colour=_pick(_METALS, u[4]),
        metal=jnp.float32(1.0),
        face_centre_mm=centre,
        face_radius_mm=jnp.float32(0.0),
        face_colour=jnp.zeros(3),
    )


def _sample_wrist_band(u, hand, share):
    axis = jnp.asarray(hand.forearm_axis)
    centre = (16 + 26 * u[0]) * axis
    has_face = u[1] < 0.55
    metal = u[3] < 0.4
    cloth = 0.01 + u[4:7] ** 3 * u[7]
    back = -jnp.asarray(hand.palmar_normals[0])
    return Band(
        centre_mm=centre,
        axis=axis,
        half_width_mm=jnp.where(has_face, 6 + 5 * u[2], 1.5 + 3.5 * u[2]) * (u[8] < share),
        reach_mm=jnp.float32(60.0),
        colour=jnp.where(metal, _pick(_METALS, u[9]), cloth),
        metal=metal.astype(jnp.float32),
        face_centre_mm=centre + 0.7 * _WRIST_RADIUS_MM * back,
        face_radius_mm=has_face * (13 + 6 * u[10]),
        face_colour=jnp.where(u[11] < 0.6, jnp.full(3, 0.01), 0.4 + 0.35 * u[12]),
    )


def _pick(rows, draw):
    """A row by a number from 0 to 1."""
    return jnp.asarray(rows)[jnp.minimum((draw * len(rows)).astype(int), len(rows) - 1)]


def dress_vertices(
    sleeve: Sleeve,
    rest_mm: Float[np.ndarray, "v 3"],
    along_mm: Float[np.ndarray, "v"],
    vertices_m: Float[Array, "v 3"],
    normals: Float[Array, "v 3"],
) -> Float[Array, "v 3"]:
    """Vertices with a sleeve's thickness and folds.

    Args:
      rest_mm: the mean adult's rest position of each vertex.
      along_mm: its distance from the wrist along the forearm.
    """
    under = jax.nn.sigmoid((along_mm - sleeve.cuff_mm) / 2.5)
    folds = jnp.sin(rest_mm @ sleeve.fold_waves.T + sleeve.fold_phases).mean(axis=1)
    thickness = sleeve.looseness_m * (1 + 0.8 * folds)
    return vertices_m + (under * thickness)[:, None] * normals


def dress_samples(
    worn: Accessories,
    surface: Surface,
    rest_mm: Float[Array, "3 n"],
    grain: Float[Array, "n"],
) -> Surface:
    """Surface properties of skin, with what is worn over it.

    Args:
      rest_mm: the mean adult's rest position of each sample.
      grain: fine noise about 0.
    """
    for number in range(2):
        band = jax.tree.map(lambda leaf, i=number: leaf[i], worn.bands)
        surface = _wear_band(band, number, surface, rest_mm)
    return _wear_sleeve(worn, surface, rest_mm, grain)


def _wear_band(band, number, surface, rest_mm):
    offset = rest_mm - band.centre_mm[:, None]
    along = dot3(offset, band.axis)
    near = dot3(offset, offset) - along * along < band.reach_mm**2
    is_worn = band.half_width_mm > 0
    to_face = rest_mm - band.face_centre_mm[:, None]
    to_face = dot3(to_face, to_face)
    on_face = is_worn & (to_face < band.face_radius_mm**2)
    on_rim = on_face & (to_face > (0.82 * band.face_radius_mm) ** 2)
    on = (near & (jnp.abs(along) < band.half_width_mm)) | on_face
    # A band is round across (a parabola): its edges turn away. A watch's face is flat.
    slope = -2 * _BAND_HEIGHT * along / jnp.maximum(band.half_width_mm, 0.1)
    slope = jnp.where(on & ~on_face, slope, 0)
    colour = jnp.where(on_face, band.face_colour[:, None], band.colour[:, None])
    colour = jnp.where(on_rim, 0.6 * band.colour[:, None], colour)
    # Skin beside it lies in its shadow.
    beside = jnp.clip((jnp.abs(along) - band.half_width_mm) / 2.5, 0, 1)
    shadow = jnp.where(near & is_worn & ~on, 0.55 + 0.45 * beside, 1)
    return Surface(
        albedo=jnp.where(on, jnp.maximum(colour, 0.005), surface.albedo),
        gloss=jnp.where(on, 2.0, surface.gloss),
        sharpness=jnp.where(on, 60.0, surface.sharpness),
        metal=jnp.where(on, band.metal * (~on_face | on_rim), surface.metal),
        ambient=surface.ambient * shadow,
        slopes=surface.slopes.at[number].set(slope),
    )


def _wear_sleeve(worn, surface, rest_mm, grain):
    sleeve = worn.sleeve
    along = dot3(rest_mm, worn.axis)
    beyond = along - sleeve.cuff_mm
    on = beyond > 0
    turn = 2 * jnp.pi / sleeve.stripes_mm
    around = jnp.sin(along * turn)
    lengthwise = jnp.sin((rest_mm[0] + 0.4 * rest_mm[2]) * turn)
    stripes = jnp.where(sleeve.pattern == 2, lengthwise, around)
    stripes = jnp.where(sleeve.pattern == 3, around * lengthwise, stripes)
    second = jnp.clip(0.5 + 3 * stripes, 0, 1) * (sleeve.pattern > 0)
    # The hem is doubled and sewn.
    hem = jnp.where((beyond > 6) & (beyond < 7.5), 0.75, 1.0)
    first_colour, second_colour = sleeve.colours[..., None]
    cloth = first_colour + second * (second_colour - first_colour)
    cloth = cloth * hem * jnp.exp(0.5 * sleeve.weave * grain)
    # The cuff overhangs: skin just before it is shaded.
    shade = jnp.where(on, 1, 0.35 + 0.65 * jnp.clip(-beyond / 9, 0, 1))
    return Surface(
        albedo=jnp.where(on, jnp.clip(cloth, 0.005, 0.9), surface.albedo),
        gloss=jnp.where(on, 0.35, surface.gloss),
        sharpness=jnp.where(on, 8.0, surface.sharpness),
        metal=jnp.where(on, 0.0, surface.metal),
        ambient=surface.ambient * shade,
        slopes=jnp.where(on, 0.0, surface.slopes),
    )
