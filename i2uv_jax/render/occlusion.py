"""Ambient occlusion and soft shadows on a hand, in closed form. Pure and jit-able.

The hand is stood in for by capsules along its bones: one per phalanx and metacarpal, two for the
forearm. So are the things before and in it, by one capsule each. Occlusion and shadow of a capsule
have simple formulas, so light needs neither rays nor shadow maps. A point does not see the capsules
that it sits on itself, and its own bone's neighbours neither, for there the capsules are too
coarse.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import FINGER_NAMES
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.skeleton import JOINT_NAMES, NUM_JOINTS
from i2uv_jax.ops.dot3 import dot3

_EPSILON = 1e-9
_RADII_MM = {"mcp": 9.0, "pip": 7.8, "dip": 6.6, "ip": 7.8, "cmc": 10.0}
_FOREARM_RADIUS_MM = 17.0
_LIFT_M = 2e-3
"""How far points are lifted off the skin, so that a capsule a little too thick casts no shadow."""


def _bones() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and end (rows of [joints; tips]) and radius (m) of each bone of the hand."""
    starts, ends, radii = [], [], []
    for number, finger in enumerate(FINGER_NAMES):
        names = ("cmc", "mcp", "ip") if finger == "thumb" else ("cmc", "mcp", "pip", "dip")
        chain = [JOINT_NAMES.index(f"{finger}_{name}") for name in names]
        for name, start, end in zip(names, chain, [*chain[1:], NUM_JOINTS + number], strict=True):
            starts.append(start)
            ends.append(end)
            radii.append(1e-3 * _RADII_MM[name])
    return np.array(starts), np.array(ends), np.array(radii, np.float32)


_START, _END, _RADIUS_M = _bones()
_IS_TIP = _END >= NUM_JOINTS
_IN_PALM = np.array([JOINT_NAMES[s].endswith("cmc") for s in _START])


def hand_capsules(
    joints_m: Float[Array, "j 3"],
    tips_m: Float[Array, "5 3"],
    forearm_end_m: Float[Array, "3"],
    across: Float[Array, "3"],
    scale: Float[Array, ""],
) -> tuple[Float[Array, "k 3"], Float[Array, "k 3"], Float[Array, "k"]]:
    """Start, end and radius of every capsule: the bones, then the forearm's two.

    Args:
      tips_m: finger tips on the skin, thumb first.
      forearm_end_m: the middle of the elbow end.
      across: unit vector from the little finger's to the thumb's side of the wrist.
      scale: size of the hand relative to the mean adult's.
    """
    points = jnp.concatenate([joints_m, tips_m])
    start, end = points[_START], points[_END]
    # The last capsule's round end should touch the finger tip.
    end = jnp.where(_IS_TIP[:, None], start + 0.75 * (end - start), end)
    aside = 0.012 * scale * jnp.stack([across, -across])
    start = jnp.concatenate([start, joints_m[0] + aside])
    end = jnp.concatenate([end, forearm_end_m + 1.5 * aside])
    radius = np.concatenate([_RADIUS_M, np.full(2, 1e-3 * _FOREARM_RADIUS_MM, np.float32)])
    return start, end, scale * radius


def thing_capsule(
    centre_m: Float[Array, "3"], axes: Float[Array, "3 3"], extents_m: Float[Array, "3"]
) -> tuple[Float[Array, "3"], Float[Array, "3"], Float[Array, ""]]:
    """Start, end and radius of the capsule that stands in for a thing.

    It lies along the longest of the thing's half extents; its cross section has about the area of
    the thing's.

    Args:
      axes: unit vectors as rows, one per half extent.
    """
    longest = jnp.argmax(extents_m)
    length = extents_m[longest]
    radius = jnp.sqrt(jnp.prod(extents_m) / length)
    half = jnp.maximum(length - radius, 0) * axes[longest]
    return centre_m - half, centre_m + half, radius


def foreign_shares(hand: Hand) -> Float[np.ndarray, "k v+a"]:
    """How much of each capsule each vertex sees: 0 for those it sits on or beside, else 1."""
    related = np.zeros((len(_START) + 2, NUM_JOINTS))
    for capsule, start in enumerate(_START):
        related[capsule, start] = 1
        for joint, parent in enumerate(hand.joint_parents):
            if joint == start and parent >= 0:
                related[capsule, parent] = 1
            if parent == start:
                related[capsule, joint] = 1
    palm_joints = [j for j, name in enumerate(JOINT_NAMES) if name.endswith(("cmc", "wrist"))]
    palm_capsules = [*np.flatnonzero(_IN_PALM), len(_START), len(_START) + 1]
    related[np.ix_(palm_capsules, palm_joints)] = 1
    own = np.clip(1.6 * hand.skin_weights @ related.T, 0, 1)
    forearm = np.zeros((hand.num_forearm_vertices, len(related)))
    forearm[:, palm_capsules] = 1
    return (1 - np.concatenate([own, forearm]).T).astype(np.float32)


def visibility(
    points_m: Float[Array, "v 3"],
    normals: Float[Array, "v 3"],
    capsules: tuple[Array, Array, Array],
    foreign: Float[Array, "k v"],
    towards_lights: Float[Array, "l 3"],
    spreads: Float[Array, "l"],
) -> tuple[Float[Array, "v"], Float[Array, "l v"]]:
    """Share of the light from all around, and of each far light, that reaches each point.

    Capsules count as independent of each other: what each lets through is multiplied.

    Args:
      foreign: which capsules each point sees, see `foreign_shares`.
      towards_lights: unit vectors.
      spreads: tangents of the lights' angular radii, which set how soft their shadows are.
    """
    lifted = (points_m + _LIFT_M * normals).T
    normals = normals.T

    def pass_capsule(shares, one):
        capsule, seen = one
        around, lights = shares
        around = around * (1 - seen * hidden_around(lifted, normals, *capsule))
        hidden = jax.vmap(lambda light, spread: hidden_light(lifted, *capsule, light, spread))
        lights = lights * (1 - seen * hidden(towards_lights, spreads))
        return (around, lights), None

    # A loop, not one large array: XLA's CPU backend would fuse that into whatever gathers from the
    # result and work it out anew for each corner of each triangle.
    ones = jnp.ones((1 + len(spreads), points_m.shape[0]))
    shares, _ = jax.lax.scan(pass_capsule, (ones[0], ones[1:]), (capsules, foreign))
    return shares


def hidden_around(
    points_m: Float[Array, "3 v"],
    normals: Float[Array, "3 v"],
    start: Float[Array, "3"],
    end: Float[Array, "3"],
    radius: Array,
) -> Float[Array, "v"]:
    """Share of the light from all around that a capsule keeps from points, cosine-weighted.

    The capsule's sphere nearest the point hides r^2 / d^2 of it times the cosine to its centre
    (Quilez, "sphere ambient occlusion").
    """
    edge = end - start
    slope = edge / (jnp.sum(edge**2) + _EPSILON)
    along = jnp.clip(dot3(slope, points_m) - dot3(slope, start), 0, 1)
    towards = start[:, None] + along * edge[:, None] - points_m
    distance2 = dot3(towards, towards) + _EPSILON
    cosine = dot3(towards, normals) * jax.lax.rsqrt(distance2)
    # A sphere that straddles the horizon is half seen: the cosine sets in a little below it.
    cosine = jnp.clip((cosine + 0.3) / 1.3, 0, 1)
    # Along its length a capsule hides more than one sphere does.
    return jnp.minimum(1.25 * cosine * jnp.minimum(radius**2 / distance2, 1), 0.95)


def hidden_light(
    points_m: Float[Array, "3 v"],
    start: Float[Array, "3"],
    end: Float[Array, "3"],
    radius: Array,
    towards_light: Float[Array, "3"],
    spread: Array,
) -> Float[Array, "v"]:
    """Share of a far light that a capsule keeps from points.

    By how far the ray from point to light passes from the capsule, against the width of the
    penumbra there (after Quilez, "capsule soft shadow").
    """
    edge = end - start
    edge_light = dot3(edge, towards_light)
    # Place on the segment nearest the ray, both as lines:
    # (p - start) . (edge - (edge . light) light) / (|edge|^2 - (edge . light)^2).
    slope = (edge - edge_light * towards_light) / (jnp.sum(edge**2) - edge_light**2 + _EPSILON)
    along = jnp.clip(dot3(slope, points_m) - dot3(slope, start), 0, 1)
    towards = start[:, None] + along * edge[:, None] - points_m
    depth = dot3(towards_light, towards)
    aside = jnp.sqrt(jnp.maximum(dot3(towards, towards) - depth**2, 0) + _EPSILON)
    blur = spread * jnp.maximum(depth, 0) + 0.2 * radius

    def up_to(edge):  # share of the light's disc on the near side of a line at this distance
        place = jnp.clip(0.5 + 0.5 * edge / blur, 0, 1)
        return place * place * (3 - 2 * place)

    # Between two lines: a far capsule hides only a strip of a light that looks wider than it.
    before = jnp.clip(depth / radius, 0, 1)  # nothing behind the point casts a shadow on it
    return before * (up_to(aside + radius) - up_to(aside - radius))
