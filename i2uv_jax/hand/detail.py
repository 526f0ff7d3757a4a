"""Relief of the skin as heights over the smooth hand: folds, lines, tendons, veins, nails, pads.

A *person* is a `DetailTraits`, drawn once; the relief then follows the pose:

- folds on the back of a joint are deep in a straight finger and vanish where bending stretches
  the skin; creases on its palm side do the reverse, with the flesh beside them pushed up;
- tendons stand out on the back of the hand as the fingers are stretched;
- the palm's lines deepen as the palm closes.

Heights follow what skin replicas and scans show: folds of 0.1 to 0.6 mm, nail edges 0.3 to 0.5,
veins 0.3 to 1, tendons up to 1.5. What a map of 256 texels cannot hold (fingerprints, pores: a
texel is 0.9 mm) is left out. Pure functions of one hand in millimetres; `jax.vmap` for batches.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.config import DetailConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail_chart import DETAIL_JOINTS, DetailChart
from i2uv_jax.hand.model import apply3
from i2uv_jax.hand.skeleton import JOINT_NAMES

_NUM_FOLDS = 6
_FOLD_WIDTH_MM = 0.85
"""Of one groove, where it has fallen to 1/e: as narrow as texels allow."""
_CREASE_WIDTH_MM = 0.95
_FOLD_REACH_MM = 7.5
"""How far from the joint folds lie, along the finger."""

PALM_LINES_MM = np.array(
    [
        [(27, 71), (17, 66), (9, 55), (4, 42), (3, 28), (8, 14)],  # life
        [(27, 71), (17, 67), (6, 62), (-5, 56), (-16, 49), (-26, 40)],  # head
        [(-44, 60), (-34, 64), (-22, 69), (-10, 72), (1, 77), (9, 87)],  # heart
        [(-4, 18), (-5, 26), (-6, 36), (-8, 46), (-8, 56), (-7, 66)],  # fate
    ],
    np.float32,
)
"""Life, head, heart and fate line (line, point, x and y) in the hand frame of the mean adult."""
_NUM_SLIGHT_LINES = 8
_NUM_VEINS = 6
_VEIN_POINTS = 7
_TENDON_WIDTH_MM, _VEIN_WIDTH_MM, _PALM_LINE_WIDTH_MM = 2.4, 1.6, 1.0

_FINGER_MCPS = np.array(
    [JOINT_NAMES.index(f"{finger}_mcp") for finger in ("index", "middle", "ring", "little")]
)
_NAMES = [JOINT_NAMES[joint] for joint in DETAIL_JOINTS]
_KINDS = [name.split("_")[1] for name in _NAMES]


def _by_kind(mcp, pip, dip, ip, thumb_mcp):
    """A value for each of `DETAIL_JOINTS` by its kind."""
    values = {"mcp": mcp, "pip": pip, "dip": dip, "ip": ip}
    return np.array(
        [
            thumb_mcp if name == "thumb_mcp" else values[kind]
            for name, kind in zip(_NAMES, _KINDS, strict=True)
        ],
        np.float32,
    )


_FOLD_DEPTH_MM = _by_kind(mcp=0.16, pip=0.58, dip=0.34, ip=0.45, thumb_mcp=0.25)
_FOLD_SMOOTH_FROM, _FOLD_SMOOTH_AT = np.deg2rad([0.0, 65.0])
"""Flexion between which folds on the back smooth out."""
# The crease of a finger's base lies at the web, 18 mm beyond its knuckle.
_CREASE_PLACE_MM = np.stack(
    [_by_kind(18.0, -1.7, -0.8, -0.8, 0.0), _by_kind(18.0, 1.7, -0.8, 2.4, 4.0)], axis=-1
)
_CREASE_DEPTH_MM = np.stack(
    [_by_kind(0.35, 0.35, 0.35, 0.35, 0.15), _by_kind(0, 0.3, 0, 0.2, 0.1)], axis=-1
)


@struct.dataclass
class DetailTraits:
    """One person's relief: places and heights in millimetres of the mean adult's hand."""

    fold_place: Float[Array, "*b 14 6"]
    """Along the finger from each of `DETAIL_JOINTS`."""
    fold_bow: Float[Array, "*b 14 6"]
    """Curvature: millimetres along per square millimetre across."""
    fold_half_length: Float[Array, "*b 14 6"]
    fold_depth: Float[Array, "*b 14 6"]
    bunching: Float[Array, "*b 14"]
    """Height of the loose skin on the back of a straight joint."""
    crease_place: Float[Array, "*b 14 2"]
    crease_slope: Float[Array, "*b 14 2"]
    crease_depth: Float[Array, "*b 14 2"]
    palm_lines: Float[Array, "*b 12 6 2"]
    palm_depth: Float[Array, "*b 12"]
    tendon_lines: Float[Array, "*b 4 6 2"]
    tendon_height: Float[Array, "*b 4"]
    vein_lines: Float[Array, "*b 6 7 2"]
    vein_height: Float[Array, "*b 6"]
    nail_edge: Float[Array, "*b 5"]
    nail_fold: Float[Array, "*b 5"]
    """Height of the skin around the nails over the groove between."""
    pad_height: Float[Array, "*b 3"]
    """Of finger tips, of the fingers' other segments, of the palm."""


def sample_traits(key: PRNGKeyArray, hand: Hand, config: DetailConfig) -> DetailTraits:
    """A random person's relief, scaled by the config's strengths."""
    keys = iter(jax.random.split(key, 32))
    spread = config.variation

    def normal(deviation, *shape):
        return spread * deviation * jax.random.normal(next(keys), shape)

    def factor(deviation, *shape):
        return jnp.exp(spread * deviation * jax.random.truncated_normal(next(keys), -2, 2, shape))

    folds = (len(DETAIL_JOINTS), _NUM_FOLDS)
    # Folds stand in a row with uneven gaps; those beside the middle bow away from it.
    row = jnp.linspace(-5.2, 4.6, _NUM_FOLDS)
    place = row + normal(0.55, *folds)
    is_main = jnp.abs(jnp.arange(_NUM_FOLDS) - 2.5) < 1.1
    fold_depth = _FOLD_DEPTH_MM[:, None] * jnp.where(is_main, 1.0, 0.55) * factor(0.4, *folds)
    wrinkled = config.wrinkles * factor(0.35)
    creases = (len(DETAIL_JOINTS), 2)
    palm_lines, palm_depth = _sample_palm_lines(keys, normal, factor)
    tendon_lines, vein_lines, vein_height = _sample_back(keys, hand, normal, factor)
    return DetailTraits(
        fold_place=place,
        fold_bow=-0.016 * place / 5 + normal(0.006, *folds),
        fold_half_length=jnp.where(is_main, 6.5, 4.5) * factor(0.2, *folds),
        fold_depth=wrinkled * fold_depth,
        bunching=wrinkled * 0.45 * _FOLD_DEPTH_MM * factor(0.4, len(DETAIL_JOINTS)),
        crease_place=_CREASE_PLACE_MM + normal(0.4, *creases),
        crease_slope=normal(0.05, *creases),
        crease_depth=wrinkled * _CREASE_DEPTH_MM * factor(0.25, *creases),
        palm_lines=palm_lines,
        palm_depth=config.palm_lines * palm_depth,
        tendon_lines=tendon_lines,
        tendon_height=config.tendons * 1.0 * factor(0.3) * factor(0.15, 4),
        vein_lines=vein_lines,
        vein_height=config.veins * factor(0.4) * vein_height,
        nail_edge=config.nails * 0.38 * factor(0.2, 5),
        nail_fold=config.nails * 0.3 * factor(0.25, 5),
        pad_height=config.pads * jnp.array([0.35, 0.25, 0.6]) * factor(0.4, 3),
    )


def _sample_palm_lines(keys, normal, factor):
    """The four great lines, then slight ones at random places."""
    great = PALM_LINES_MM + normal(1.5, 2) + normal(0.7, *PALM_LINES_MM.shape)
    great_depth = jnp.array([0.65, 0.6, 0.6, 0.3]) * factor(0.25, 4)
    count, points = _NUM_SLIGHT_LINES, PALM_LINES_MM.shape[1]
    low, high = jnp.array([-36.0, 20.0]), jnp.array([26.0, 82.0])
    start = jax.random.uniform(next(keys), (count, 1, 2), minval=low, maxval=high)
    turn = jax.random.uniform(next(keys), (count, 1), maxval=2 * jnp.pi)
    step = jnp.stack([jnp.cos(turn), jnp.sin(turn)], axis=-1) * 3.2 * factor(0.3, count, 1, 1)
    slight = start + step * jnp.arange(points)[:, None] + normal(0.7, count, points, 2)
    lines = jnp.concatenate([great, slight])
    return lines, jnp.concatenate([great_depth, 0.2 * factor(0.4, count)])


def _sample_back(keys, hand, normal, factor):
    """Tendons from the wrist to the knuckles; veins that gather from between the knuckles."""
    knuckles = 1e3 * hand.mean_joints[_FINGER_MCPS, :2]
    wrist = np.stack([-2 + 0.35 * knuckles[:, 0], np.full(4, 6.0)], axis=-1)
    share = np.linspace(0, 1, 6)[:, None]
    tendons = wrist[:, None] + share * (knuckles - wrist)[:, None] + normal(0.5, 4, 6, 2)

    # Three between neighbouring knuckles, one on the thumb's side, two across (the venous arch).
    between = (knuckles[1:] + knuckles[:-1]) / 2
    starts = np.concatenate([between + np.array([0, 5]), [(30, 66), (-36, 56), (20, 52)]])
    stops = np.array([(14, 12), (2, 6), (-16, 10), (18, 14), (4, 44), (-14, 44)], np.float32)
    share = np.linspace(0, 1, _VEIN_POINTS)[:, None]
    middle = starts[:, None] + share * (stops - starts)[:, None]
    veins = middle + normal(3.0, _NUM_VEINS, 1, 2) + normal(1.9, _NUM_VEINS, _VEIN_POINTS, 2)
    present = jax.random.bernoulli(next(keys), 0.85, (_NUM_VEINS,))
    return tendons, veins, 0.55 * present * factor(0.3, _NUM_VEINS)


def joint_flexion(hand: Hand, joint_rotations: Float[Array, "j 3 3"]) -> Float[Array, "j"]:
    """How far each joint is bent towards the palm, radians."""
    moved = apply3(joint_rotations, hand.bone_directions)
    along = jnp.sum(moved * hand.bone_directions, axis=-1)
    return jnp.arctan2(jnp.sum(moved * hand.palmar_normals, axis=-1), along)


def relief_mm(
    chart: DetailChart, traits: DetailTraits, flexion: Float[Array, "j"]
) -> Float[Array, "n"]:
    """Height of each texel over the smooth surface, for a hand of the mean adult's size."""
    bend = flexion[np.array(DETAIL_JOINTS)]
    height = _folds(chart, traits, bend) + _creases(chart, traits, bend) + _nails(chart, traits)
    height += chart.pads @ traits.pad_height
    mcp = flexion[_FINGER_MCPS]
    height = height.at[chart.palm_texels].add(_palm(chart, traits, mcp))
    return height.at[chart.back_texels].add(_back(chart, traits, mcp))


def _folds(chart, traits, bend):
    """Folds on the back of joints, and the loose skin between them."""
    straight = 1 - 0.93 * _smoothstep(_FOLD_SMOOTH_FROM, _FOLD_SMOOTH_AT, bend)
    row = chart.joint
    along, across = chart.along[:, None], chart.across[:, None]
    beside = (along - traits.fold_place[row] - traits.fold_bow[row] * across**2) / _FOLD_WIDTH_MM
    ends = across / traits.fold_half_length[row]
    depth = jnp.max(traits.fold_depth[row] * jnp.exp(-(beside**2) - ends**4), axis=-1)
    reach = jnp.exp(-((chart.along / _FOLD_REACH_MM) ** 4))
    loose = traits.bunching[row] * jnp.exp(-((chart.across / 8) ** 2))
    return straight[row] * chart.dorsal * reach * (loose - depth)


def _creases(chart, traits, bend):
    """Creases on the palm side of joints, and flesh pushed up beside them."""
    row = chart.joint
    closing = _smoothstep(0.0, np.deg2rad(70), bend)[row][:, None]
    beside = (
        chart.along[:, None]
        - traits.crease_place[row]
        - traits.crease_slope[row] * chart.across[:, None]
    )
    depth = traits.crease_depth[row] * (1 + 0.7 * closing)
    groove = jnp.max(depth * jnp.exp(-((beside / _CREASE_WIDTH_MM) ** 2)), axis=-1)
    # Beside the outer creases only: between two of them is no room for flesh.
    nearest = jnp.min(jnp.abs(beside), axis=-1)
    bulge = jnp.exp(-(((nearest - 4) / 2.5) ** 2))
    pushed = jnp.max(traits.crease_depth[row] * closing, axis=-1) * bulge
    side = jnp.exp(-((chart.across / 11) ** 6))
    return chart.palmar * side * (pushed - groove)


def _nails(chart, traits):
    """Plates that end over a groove, with raised skin around the sides and the root."""
    along, across = chart.nail_along, chart.nail_across
    # Square at the free end, rounded towards the root.
    power = jnp.where(along > 0, 4.0, 2.4)
    radius = (jnp.abs(across) ** 3 + (jnp.abs(along) + 1e-6) ** power + 1e-9) ** (1 / 3)
    plate = 1 - _smoothstep(0.88, 1.06, radius)
    rim = 1 - _smoothstep(0.5, 0.8, along)
    edge, fold = traits.nail_edge[chart.finger], traits.nail_fold[chart.finger]
    groove = jnp.exp(-(((radius - 1.02) / 0.1) ** 2))
    wall = jnp.exp(-(((radius - 1.24) / 0.14) ** 2))
    free = plate * _smoothstep(0.1, 0.75, along)
    height = 0.3 * edge * plate + 0.7 * edge * free + fold * rim * (0.6 * wall - 0.6 * groove)
    return chart.on_nail_side * height


def _palm(chart, traits, mcp):
    closing = _smoothstep(0.0, np.deg2rad(80), jnp.mean(mcp))
    depth = strokes(chart.palm_plane, traits.palm_lines, traits.palm_depth, _PALM_LINE_WIDTH_MM)
    return -chart.palm_weight * (1 + 0.5 * closing) * depth


def _back(chart, traits, mcp):
    stretched = 1 - _smoothstep(*np.deg2rad([-25.0, 30.0]), mcp)
    heights = traits.tendon_height * (0.12 + 0.88 * stretched)
    tendons = strokes(chart.back_plane, traits.tendon_lines, heights, _TENDON_WIDTH_MM)
    veins = strokes(chart.back_plane, traits.vein_lines, traits.vein_height, _VEIN_WIDTH_MM)
    return chart.back_weight * (tendons + veins)


def strokes(
    points: Float[Array, "n 2"],
    lines: Float[Array, "l p 2"],
    heights: Float[Array, "l"],
    width: float,
) -> Float[Array, "n"]:
    """The highest of several ridges along rounded polylines, which fall off as Gaussians beside
    them and run out over the last segments at both ends."""
    # Cutting corners (Chaikin) rounds them.
    first, second = lines[:, :-1], lines[:, 1:]
    cut = jnp.stack([0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second], axis=2)
    cut = cut.reshape(lines.shape[0], -1, 2)
    lines = jnp.concatenate([lines[:, :1], cut, lines[:, -1:]], axis=1)
    start, edge = lines[:, :-1], lines[:, 1:] - lines[:, :-1]
    offset = points[:, None, None] - start
    share = jnp.sum(offset * edge, axis=-1) / (jnp.sum(edge**2, axis=-1) + 1e-6)
    gap = offset - jnp.clip(share, 0, 1)[..., None] * edge
    from_ends = np.minimum(np.arange(edge.shape[1]), np.arange(edge.shape[1])[::-1])
    height = heights[:, None] * np.minimum(1, (from_ends + 1) / 4).astype(np.float32)
    return jnp.max(height * jnp.exp(-jnp.sum(gap**2, axis=-1) / width**2), axis=(1, 2))


def _smoothstep(low, high, value):
    share = jnp.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
