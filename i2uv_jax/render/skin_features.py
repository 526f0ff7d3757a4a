"""What every skin has where: nails, creases, palm lines, veins, flushed places. Host, NumPy.

The features are worked out from the mean adult's rest geometry, in millimetres along and around
its bones, and drawn into the skin atlas once per run. Several *variants* differ in all that differs
between people: the course of lines and veins, the place of spots. How strong each feature shows,
and in which colour, `render.skin` draws anew for every picture.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail import PALM_LINES_MM
from i2uv_jax.hand.skeleton import JOINT_NAMES
from i2uv_jax.imaging.eight_bit import to_bytes
from i2uv_jax.render.skin_atlas import (
    all_faces,
    atlas_corners,
    grow,
    mean_rest_vertices_mm,
    texel_faces,
)

NUM_VARIANTS = 6
CHANNELS = ("palm", "redness", "vein", "spots", "nail", "crease", "height", "nail_edge")
"""Meaning of a procedural texel's eight values, each 0 to 1; height is 0.5 on smooth skin."""

_DISTAL_JOINTS = tuple(
    JOINT_NAMES.index(f"{finger}_{'ip' if finger == 'thumb' else 'dip'}") for finger in FINGER_NAMES
)
_NAIL_CENTRE, _NAIL_HALF_LENGTH, _NAIL_HALF_WIDTH = 0.70, 0.27, 0.62
"""As shares of the last phalanx's length, and of its half width."""
_TIP_HALF_WIDTH_MM = (11.0, 9.0, 9.0, 8.6, 7.8)


@dataclass(frozen=True)
class Surface:
    """The mean hand's surface, one row per texel of the chart. Millimetres, hand frame."""

    point: Float[np.ndarray, "n 3"]
    normal: Float[np.ndarray, "n 3"]
    palmar: Float[np.ndarray, "n"]
    """Cosine between the normal and the direction that the nearest bone's palm side faces."""
    is_forearm: np.ndarray


def surface_of(hand: Hand, size: int) -> tuple[Surface, np.ndarray]:
    """The surface at the chart's texels, and which texels (size, 1.5 size) those are."""
    faces = all_faces(hand)
    points = mean_rest_vertices_mm(hand)
    normals = _vertex_normals(points, faces)
    palmar_axis = hand.skin_weights @ hand.palmar_normals
    palmar_axis = np.concatenate(
        [palmar_axis, np.tile(hand.palmar_normals[0], (len(points) - len(palmar_axis), 1))]
    )
    palmar = (normals * palmar_axis).sum(axis=1)
    face, weights = texel_faces(atlas_corners(hand), size, size * 3 // 2)
    covered = face >= 0
    corner, weight = faces[face[covered]], weights[covered][..., None]

    def at_texels(values):
        return (values[corner] * weight).sum(axis=1)

    surface = Surface(
        point=at_texels(points),
        normal=at_texels(normals),
        palmar=at_texels(palmar[:, None])[:, 0],
        is_forearm=face[covered] >= len(hand.faces),
    )
    return surface, covered


def feature_maps(hand: Hand, size: int) -> UInt8[np.ndarray, "variants h w 8"]:
    """All variants of the eight channels in the skin atlas; the same at every call."""
    surface, covered = surface_of(hand, size)
    maps = np.zeros((NUM_VARIANTS, *covered.shape, len(CHANNELS)), np.uint8)
    for variant in range(NUM_VARIANTS):
        values = draw_features(hand, surface, np.random.default_rng(variant))
        image = np.zeros((*covered.shape, len(CHANNELS)), np.float32)
        image[covered] = values
        maps[variant] = to_bytes(grow(image, covered, 4))
    return maps


def draw_features(
    hand: Hand, surface: Surface, rng: np.random.Generator
) -> Float[np.ndarray, "n 8"]:
    """One variant's channels (see `CHANNELS`) at each texel of the chart."""
    nail, nail_edge, nail_fold = _nails(hand, surface)
    crease, knuckle, tip = _finger_marks(hand, surface, rng)
    palm_side = _smoothstep(-0.35, 0.55, surface.palmar)
    palm_side[surface.is_forearm] *= 0.5
    palm_lines = _palm_lines(surface, rng) * _smoothstep(0.1, 0.6, surface.palmar)
    veins, tendons = _veins_and_tendons(hand, surface, rng)
    crease = np.maximum(crease, palm_lines) * (1 - nail)
    heel = _blobs(surface.point, np.array([[24, 38, 20], [-30, 30, 12], [-5, 82, 8]]), 16)
    redness = np.clip(0.9 * tip + 0.7 * knuckle + 0.6 * heel * palm_side, 0, 1) * (1 - 0.5 * nail)
    height = 0.5 - 0.42 * crease + 0.1 * tendons + 0.07 * veins + 0.12 * nail - 0.3 * nail_fold
    return np.stack(
        [palm_side, redness, veins, _spots(surface, rng), nail, crease, height, nail_edge], axis=-1
    )


def _nails(hand, surface):
    """Mask of the nails, of their free edge, and of the fold around them."""
    nail, edge, fold = (np.zeros(len(surface.point)) for _ in range(3))
    for finger, joint in enumerate(_DISTAL_JOINTS):
        along, across, up = _bone_axes(hand, joint)
        offset = surface.point - 1e3 * hand.mean_joints[joint]
        length = 1e3 * np.linalg.norm(hand.mean_tips[finger] - hand.mean_joints[joint])
        t = (offset @ along / length - _NAIL_CENTRE) / _NAIL_HALF_LENGTH
        s = offset @ across / (_NAIL_HALF_WIDTH * _TIP_HALF_WIDTH_MM[finger])
        near = np.linalg.norm(offset - np.outer(offset @ along, along), axis=1) < 16
        dorsal = near & (surface.normal @ up > 0.2) & (offset @ up > 0)
        # Square at the free end, rounded towards the cuticle.
        radius = (np.abs(s) ** 3 + np.abs(t) ** np.where(t > 0, 4, 2.4)) ** (1 / 3)
        nail = np.maximum(nail, dorsal * (1 - _smoothstep(0.9, 1.08, radius)))
        edge = np.maximum(edge, dorsal * _smoothstep(0.62, 0.8, t) * (radius < 1.05))
        rim = np.exp(-(((radius - 1.08) / 0.12) ** 2)) * (t < 0.8)
        fold = np.maximum(fold, dorsal * rim)
    return nail, edge * nail, fold


def _finger_marks(hand, surface, rng):
    """Creases across the fingers' joints, how far a place is on a knuckle, and on a finger tip."""
    crease, knuckle, tip = (np.zeros(len(surface.point)) for _ in range(3))
    palmar = _smoothstep(0.0, 0.5, surface.palmar)
    dorsal = _smoothstep(0.1, 0.6, -surface.palmar)
    for joint, name in enumerate(JOINT_NAMES):
        if joint == 0 or name.endswith("cmc"):
            continue
        along, across, up = _bone_axes(hand, joint)
        offset = surface.point - 1e3 * hand.mean_joints[joint]
        t, s = offset @ along, offset @ across
        near = np.exp(-((np.linalg.norm(offset, axis=1) / 15) ** 6))
        is_base = name.endswith("mcp") and not name.startswith("thumb")
        # The flexion crease of a finger's base lies at the web, well beyond its knuckle.
        places = (18.0,) if is_base else (-1.6, 1.6) if name.endswith(("pip", "mcp")) else (-1.0,)
        reach = np.exp(-((np.hypot(s, t - places[0]) / (13 if is_base else 15)) ** 6))
        for place in places:
            wobble = rng.normal(0, 0.4) + rng.normal(0, 0.06) * s
            bend = rng.normal(0, 0.004) * s**2
            line = np.exp(-(((t - place - wobble - bend) / 0.75) ** 2))
            crease = np.maximum(crease, rng.uniform(0.7, 1) * line * palmar * reach)
        if not is_base:
            for _ in range(6 if name.endswith("pip") else 4):
                place = rng.uniform(-5.5, 5)
                bow = rng.normal(0, 0.012) - 0.008 * np.sign(place)
                width = rng.uniform(3, 6.5)
                line = np.exp(-(((t - place - bow * s**2) / 0.6) ** 2) - (s / width) ** 4)
                crease = np.maximum(crease, rng.uniform(0.35, 0.8) * line * dorsal * near)
        top = offset + (0 if is_base else -4) * up
        knuckle = np.maximum(knuckle, np.exp(-((np.linalg.norm(top, axis=1) / 13) ** 3)) * dorsal)
        if joint in _DISTAL_JOINTS:
            finger = _DISTAL_JOINTS.index(joint)
            distance = np.linalg.norm(surface.point - 1e3 * hand.mean_tips[finger], axis=1)
            tip = np.maximum(tip, np.exp(-((distance / 15) ** 2.5)))
    return crease, knuckle, tip


def _palm_lines(surface, rng):
    """The palm's great creases and a dozen slight ones, as seen along the hand frame's z."""
    plane = surface.point[:, :2].astype(np.float32)
    lines = np.zeros(len(plane))
    shift = rng.normal(0, 1.5, 2)
    for number, line in enumerate(PALM_LINES_MM):
        points = line + shift + rng.normal(0, 1.6, (len(line), 2))
        strength = rng.uniform(0.75, 1) if number < 3 else rng.uniform(0, 0.7)
        lines = np.maximum(lines, strength * _stroke(plane, points, 0.8))
    for _ in range(14):
        start = rng.uniform((-38, 15), (28, 84))
        turn = rng.uniform(0, 2 * np.pi)
        step = rng.uniform(4, 9) * np.array([np.cos(turn), np.sin(turn)])
        points = start + np.arange(3)[:, None] * step + rng.normal(0, 1, (3, 2))
        lines = np.maximum(lines, rng.uniform(0.15, 0.45) * _stroke(plane, points, 0.6))
    # Two bracelets where the hand meets the forearm.
    for place in (rng.uniform(-2, 3), rng.uniform(-10, -5)):
        bow = place + 0.006 * (plane[:, 0] + 2) ** 2
        line = np.exp(-(((plane[:, 1] - bow) / 0.8) ** 2)) * (np.abs(plane[:, 0]) < 30)
        lines = np.maximum(lines, rng.uniform(0.3, 0.8) * line)
    fingers = plane[:, 1] > 100
    return np.where(fingers, 0, lines)


def _veins_and_tendons(hand, surface, rng):
    """Veins on the back of the hand and both sides of the forearm; tendons to the knuckles."""
    plane = surface.point[:, :2].astype(np.float32)
    back = _smoothstep(0.0, 0.5, -surface.palmar)
    veins, tendons = np.zeros(len(plane)), np.zeros(len(plane))
    knuckles = (
        1e3
        * hand.mean_joints[
            [JOINT_NAMES.index(f"{f}_mcp") for f in ("index", "middle", "ring", "little")], :2
        ]
    )
    for knuckle in knuckles:
        line = np.linspace((-2 + 0.35 * knuckle[0], 8), knuckle, 5)
        tendons = np.maximum(tendons, _stroke(plane, line, 2.6))
    for first, second in pairwise(knuckles):
        if rng.uniform() < 0.2:
            continue
        start = (first + second) / 2 + rng.normal(0, 3, 2) + (0, 4)
        end = np.array([rng.uniform(-18, 14), rng.uniform(0, 25)])
        line = np.linspace(start, end, 7) + rng.normal(0, 2.2, (7, 2))
        veins = np.maximum(veins, rng.uniform(0.5, 1) * _stroke(plane, line, 1.6))
    across = np.linspace((-28, rng.uniform(45, 62)), (18, rng.uniform(45, 62)), 7)
    veins = np.maximum(veins, 0.7 * _stroke(plane, across + rng.normal(0, 4, (7, 2)), 1.5))
    veins *= back
    forearm = np.zeros(len(plane))
    for _ in range(5):
        side = rng.uniform(-22, 22)
        line = np.linspace((side, 8), (side * 1.3 + rng.normal(15, 12), -240), 14)
        stroke = _stroke(plane, line + rng.normal(0, 2.5, (14, 2)), 1.9)
        forearm = np.maximum(forearm, rng.uniform(0.4, 1) * stroke)
    veins = np.maximum(veins, forearm * (plane[:, 1] < 10))
    return veins, tendons * back * (plane[:, 1] > 5)


def _spots(surface, rng):
    """Freckles and moles, on the back of the hand and on the forearm."""
    places = surface.point[rng.choice(len(surface.point), 90, replace=False)]
    spots = np.zeros(len(surface.point))
    for place in places:
        radius = np.exp(rng.normal(np.log(0.9), 0.35))
        near = _within(surface.point, place, place, 2 * radius)
        distance = np.linalg.norm(surface.point[near] - place, axis=1)
        spot = rng.uniform(0.2, 1) ** 2 * np.exp(-((distance / radius) ** 3))
        spots[near] = np.maximum(spots[near], spot)
    return spots * _smoothstep(0.35, -0.25, surface.palmar)


def _bone_axes(hand, joint):
    """Unit vectors along a bone, across it, and out of its back."""
    along, palmar = hand.bone_directions[joint], hand.palmar_normals[joint]
    return along, np.cross(along, palmar), -palmar


def _stroke(points, line, width):
    """1 on a smooth curve through a polyline, falling off as a Gaussian of `width` beside it."""
    for _ in range(2):  # cutting corners (Chaikin) rounds them
        cut = np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], 1)
        line = np.concatenate([line[:1], cut.reshape(-1, line.shape[1]), line[-1:]])
    value = np.zeros(len(points))
    near = _within(points, line.min(axis=0), line.max(axis=0), 3 * width)
    points = points[near]
    least = np.full(len(points), np.inf, np.float32)
    for start, stop in pairwise(line):
        edge, offset = stop - start, points - start
        share = np.clip(offset @ edge / (edge @ edge + 1e-9), 0, 1)
        gap = offset - share[:, None] * edge
        least = np.minimum(least, gap[:, 0] ** 2 + gap[:, 1] ** 2)
    value[near] = np.exp(-least / width**2)
    return value


def _within(points, low, high, rim):
    """Rows of the points inside a box; only these can be near what it holds."""
    inside = np.ones(len(points), bool)
    for column, least, most in zip(points.T, low - rim, high + rim, strict=True):
        inside &= (column > least) & (column < most)
    return np.flatnonzero(inside)


def _blobs(points, centres, radius):
    total = sum(np.exp(-(((points - centre) / radius) ** 2).sum(axis=1)) for centre in centres)
    return np.minimum(total, 1)


def _smoothstep(low, high, value):
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _vertex_normals(points, faces):
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
