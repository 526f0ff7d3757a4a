"""What part of a hand a camera sees, how it is held and turned and what it looks like: what scores
are split by."""

import numpy as np
from jaxtyping import Float, Int

from i2uv_jax.geometry.host_normals import vertex_normals

_TOLERANCE_M = 0.02
"""An object nearer than the hand by more than this hides it; depth sensors are worse at edges."""

_DEEP_M = 0.025
"""Most keypoints lie less deep below the skin, those below another finger deeper."""

_FINGERS = ((5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
_WRIST, _INDEX, _LITTLE = 0, 5, 17

POSES = ("straight fingers", "half bent", "bent")
_STRAIGHT, _BENT = 0.9, 0.7

VIEWS = ("palm", "edge", "back")
_SIDEWAYS = 0.5
"""Cosine between the palm's normal and the viewing direction below which the edge is seen."""

TONES = ("Monk 1 to 3", "Monk 4 to 6", "Monk 7 to 10")
AGES = ("up to 25 years", "25 to 57 years", "older")
_YOUNG, _MIDDLE = 2 / 3, 5 / 6
"""MakeHuman's ages from 0 to 1: its young adult of 25 years, and halfway from there to its old one
of 90."""

FILLS = ("up to half of the crop", "up to three quarters", "more of the crop")

SHARES = ("up to a third visible", "up to two thirds visible", "more visible")


def visible_share(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    depth_m: Float[np.ndarray, "h w"],
    focal_px: float,
    principal_px: tuple[float, float],
) -> float | None:
    """Share of the vertices facing the camera that nothing in a depth picture stands before.

    Pixels without depth and places outside the picture do not count; None if that leaves nothing.
    """
    facing = (vertex_normals(vertices, faces) * vertices).sum(axis=1) < 0
    points = vertices[facing]
    place = np.floor(focal_px * points[:, :2] / points[:, 2:] + principal_px).astype(int)
    height, width = depth_m.shape
    inside = ((place >= 0) & (place < [width, height])).all(axis=1)
    seen = depth_m[place[inside, 1], place[inside, 0]]
    known = seen > 0
    if not known.any():
        return None
    return float((seen[known] > points[inside][known, 2] - _TOLERANCE_M).mean())


def keypoints_in_sight(
    keypoints: Float[np.ndarray, "k 3"],
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
) -> float:
    """Share of the keypoints that no part of the hand's own mesh hides from the camera.

    Keypoints lie inside the hand: one is hidden if the line from the camera enters the mesh much
    earlier than right before it.
    """
    first, second, third = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    # A ray r meets the triangle's plane at t r, t r = b_1 v_1 + b_2 v_2 + b_3 v_3 with weights of
    # sum 1. By Cramer's rule b_i is r . (v_j x v_k) over their sum, and t is det(v) over that sum.
    across = np.cross(second, third), np.cross(third, first), np.cross(first, second)
    rays = keypoints.astype(np.float64)
    parts = [rays @ normals.T for normals in across]
    total = sum(parts)
    meets = (np.minimum.reduce(parts) >= 0) | (np.maximum.reduce(parts) <= 0)
    volume = (first * across[0]).sum(axis=1)
    place = np.where(meets & (total != 0), volume / np.where(total != 0, total, 1), np.inf)
    place = np.where(place > 0, place, np.inf).min(axis=1, initial=np.inf)
    before = (1 - place) * np.linalg.norm(rays, axis=1)
    return float((before < _DEEP_M).mean())


def share_group(share: float | None) -> str | None:
    """One of `SHARES`."""
    return None if share is None else SHARES[min(int(3 * share), 2)]


def tone_group(monk_tone: int | None) -> str | None:
    """One of `TONES`."""
    return None if monk_tone is None else TONES[(monk_tone > 3) + (monk_tone > 6)]


def age_group(age: float | None) -> str | None:
    """One of `AGES`, by MakeHuman's phenotype, which forms the hand; its skin has no age."""
    return None if age is None else AGES[(age > _YOUNG) + (age > _MIDDLE)]


def fill_group(fill: float | None) -> str | None:
    """One of `FILLS`."""
    return None if fill is None else FILLS[(fill > 0.5) + (fill > 0.75)]


def pose_group(keypoints: Float[np.ndarray, "21 3"]) -> str | None:
    """One of `POSES`: by how much nearer than their bones are long the four fingers' tips are to
    their knuckles; None for NaN."""
    fingers = keypoints[np.array(_FINGERS)]
    length = np.linalg.norm(np.diff(fingers, axis=1), axis=-1).sum(axis=1)
    reach = np.linalg.norm(fingers[:, -1] - fingers[:, 0], axis=-1)
    straightness = (reach / np.maximum(length, 1e-9)).mean()
    if np.isnan(straightness):
        return None
    return POSES[0 if straightness > _STRAIGHT else 1 if straightness > _BENT else 2]


def view_group(keypoints: Float[np.ndarray, "21 3"], *, is_left: bool) -> str | None:
    """One of `VIEWS`: what side of the palm a camera at the origin sees; None for NaN."""
    wrist = keypoints[_WRIST]
    normal = np.cross(keypoints[_INDEX] - wrist, keypoints[_LITTLE] - wrist)
    normal *= -1 if is_left else 1
    ray = keypoints[[_WRIST, _INDEX, _LITTLE]].mean(axis=0)
    size = np.linalg.norm(normal) * np.linalg.norm(ray)
    if not size > 0:
        return None
    cosine = float(normal @ ray / size)
    return VIEWS[1] if abs(cosine) < _SIDEWAYS else VIEWS[0 if cosine < 0 else 2]
