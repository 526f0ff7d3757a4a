"""The texture square of skins: where each face lies in it, and how texels are stored. Host, NumPy.

Skins follow MakeHuman's body texture, of which a hand and its forearm are two small rectangles.
The *skin atlas* shows the hand's rectangle as a square on the left and the forearm's, half as wide,
on its right: `size` rows of `1.5 * size` texels. Coordinates in it run from 0 to 1 along each axis,
x right and y down; the centre of texel i of n is (i + 0.5) / n.

A texel has eight values of one byte. They are stored as two 32-bit words, since XLA's CPU backend
pays for a gather by the number of elements, not by their size.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt, UInt8

from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.model import rest_hand
from i2uv_jax.hand.shape_prior import MEAN_SHAPE

_MARGIN = 0.02
"""Rim around the chart within each rectangle, as a share of its side."""
_HAND_SHARE = 2 / 3
"""Part of the atlas's width that the hand's square takes."""


def all_faces(hand: Hand) -> np.ndarray:
    """Triangles of the hand, then of the forearm, over the vertices of the one, then the other."""
    return np.concatenate([hand.faces, hand.forearm_faces])


def body_rectangles(hand: Hand) -> Float[np.ndarray, "2 4"]:
    """(left, top, right, bottom) of the hand and of the forearm in the body texture, y down."""
    rectangles = []
    for corners in np.split(hand.body_uv, [len(hand.faces)]):
        points = corners.reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        rim = _MARGIN * (high - low)
        rectangles.append(np.concatenate([low - rim, high + rim]))
    return np.array(rectangles)


def atlas_corners(hand: Hand) -> Float[np.ndarray, "f+g 3 2"]:
    """Atlas coordinates of each corner of [faces; forearm_faces]."""
    parts = np.split(hand.body_uv, [len(hand.faces)])
    low_high = body_rectangles(hand)
    hand_part, forearm_part = (
        (part - rectangle[:2]) / (rectangle[2:] - rectangle[:2])
        for part, rectangle in zip(parts, low_high, strict=True)
    )
    hand_part = hand_part * np.array([_HAND_SHARE, 1.0])
    forearm_part = forearm_part * np.array([1 - _HAND_SHARE, 1.0]) + np.array([_HAND_SHARE, 0.0])
    return np.concatenate([hand_part, forearm_part]).astype(np.float32)


def mean_rest_vertices_mm(hand: Hand) -> Float[np.ndarray, "v+a 3"]:
    """[hand; forearm] of the mean adult at rest, hand frame: the coordinates of anatomy."""
    with jax.ensure_compile_time_eval():
        rest = jax.jit(lambda shape: rest_hand(hand, shape))(MEAN_SHAPE.astype(np.float32))
        return 1e3 * np.concatenate([rest.vertices, rest.forearm_vertices])


def texel_faces(
    corners: Float[np.ndarray, "f 3 2"], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Face (height, width), -1 for none, and barycentric weights (height, width, 3) per texel."""
    face = np.full((height, width), -1)
    weights = np.zeros((height, width, 3), np.float32)
    points = corners * np.array([width, height]) - 0.5
    low = np.maximum(np.ceil(points.min(axis=1) - 1e-6), 0).astype(int)
    high = np.minimum(np.floor(points.max(axis=1) + 1e-6), np.array([width, height]) - 1).astype(
        int
    )
    for index, (a, b, c) in enumerate(points):
        (left, top), (right, bottom) = low[index], high[index]
        if right < left or bottom < top:
            continue
        x, y = np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1))
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-9:
            continue
        second = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        inside = (second >= -1e-6) & (third >= -1e-6) & (second + third <= 1 + 1e-6)
        rows, columns = y[inside], x[inside]
        face[rows, columns] = index
        weights[rows, columns] = np.stack([1 - second - third, second, third], -1)[inside]
    return face, weights


def grow(values: np.ndarray, known: np.ndarray, steps: int) -> np.ndarray:
    """Carries values (h, w, c) outwards from known texels, so that lookups at a rim stay inside."""
    values, known = values.copy(), known.copy()
    for _ in range(steps):
        for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
            take = ~known & np.roll(known, shift, axis)
            values[take] = np.roll(values, shift, axis)[take]
            known |= take
    return values


def pack(values: UInt8[np.ndarray, "*b 8"]) -> UInt[np.ndarray, "*b 2"]:
    """Eight bytes as two words; the first of each four in the lowest bits."""
    bytes_ = values.reshape(*values.shape[:-1], 2, 4).astype(np.uint32)
    return (bytes_ << np.array([0, 8, 16, 24], np.uint32)).sum(axis=-1, dtype=np.uint32)


def unpack(word: UInt[Array, "*b"]) -> list[Float[Array, "*b"]]:
    """The four bytes of each word as numbers from 0 to 1."""
    return [((word >> shift) & 255).astype(jnp.float32) / 255 for shift in (0, 8, 16, 24)]
