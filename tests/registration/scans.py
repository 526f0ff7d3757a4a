"""Meshes to register, made independently of the fitter."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import jax
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from i2uv_jax.config import DetailConfig
from i2uv_jax.geometry.uv_map import build_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles, sample_forearm_rotation
from i2uv_jax.hand.shape_prior import sample_shape
from i2uv_jax.registration.scan import Scan


@lru_cache
def _compiled():
    hand = load_hand()

    @jax.jit
    def random_hand(key, angles):
        shape_key, pose_key, traits_key = jax.random.split(key, 3)
        # As `sample_pose` does, which compiles for long.
        _, forearm_key = jax.random.split(pose_key)
        pose = HandPose(
            joint_rotations=joint_rotations_from_angles(hand, angles),
            forearm_rotation=sample_forearm_rotation(forearm_key, hand),
        )
        traits = sample_traits(traits_key, hand, DetailConfig())
        return sample_shape(shape_key, hand), pose, traits

    @jax.jit
    def surface(shape, pose, traits):
        posed = pose_hand(hand, shape, pose)
        return posed, detailed_map(hand, posed, pose, traits, DetailConfig(), 256)

    return random_hand, surface


def detailed_hand(seed, angles):
    """A random person's hand of given joint angles and its true high-fidelity map (hand frame,
    metres)."""
    random_hand, surface = _compiled()
    hand = random_hand(jax.random.key(seed), np.asarray(angles, np.float32))
    return jax.tree.map(np.asarray, surface(*hand))


def surface_of(posed, uv_map, *, forearm):
    """Vertices and faces of the detailed mesh."""
    hand = load_hand()
    fine = subdivision_of(hand).atlas
    vertices = np.asarray(vertices_from_uv_map(build_tables(fine, 256), uv_map))
    faces = fine.faces
    if forearm:
        first = len(vertices)
        rest = hand.forearm_faces
        rest = np.where(rest >= hand.num_vertices, rest - hand.num_vertices + first, rest)
        faces = np.concatenate([faces, rest])
        vertices = np.concatenate([vertices, posed.forearm_vertices])
    return vertices.astype(np.float64), faces


def retessellated(vertices, faces, rng, cell=0.0012):
    """Other triangles on the same surface: vertices within a cell of a turned grid become one."""
    turned = vertices @ Rotation.random(random_state=rng).as_matrix()
    _, cluster = np.unique(np.floor(turned / cell).astype(int), axis=0, return_inverse=True)
    cluster = cluster.ravel()
    order = rng.permutation(cluster.max() + 1)
    cluster = order[cluster]
    count = np.bincount(cluster)
    merged = np.stack([np.bincount(cluster, axis) for axis in vertices.T], -1) / count[:, None]
    faces = cluster[faces]
    distinct = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    )
    faces = faces[distinct]
    return merged, faces[rng.permutation(len(faces))]


def with_holes(vertices, faces, rng, share=0.1):
    """Without the triangles around random places."""
    centres = vertices[faces].mean(axis=1)
    keep = np.ones(len(faces), bool)
    tree = cKDTree(centres)
    while keep.mean() > 1 - share:
        radius = rng.uniform(0.003, 0.008)
        keep[tree.query_ball_point(centres[rng.integers(len(centres))], radius)] = False
    faces = faces[keep]
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)


@dataclass(frozen=True)
class Truth:
    """What a scan shows: the hand's surface without the forearm, hand frame, metres."""

    vertices: np.ndarray
    faces: np.ndarray
    uv_map: np.ndarray
    keypoints: np.ndarray
    is_mirrored: bool
    scale: float
    rotation: np.ndarray
    offset: np.ndarray

    def to_world(self, registration, points=None):
        """Fitted points (the surface, unless others are given) in the frame of the truth."""
        points = registration.surface_vertices if points is None else points
        in_scan = registration.similarity.inverse(points.astype(np.float64))
        if registration.handedness == "left":
            in_scan = in_scan * [-1, 1, 1]
        points = (in_scan / self.scale - self.offset) @ self.rotation
        return points * [-1, 1, 1] if self.is_mirrored else points


def make_scan(seed, *, angles, forearm=False, mirror=False, scale=None, noise_m=0.0003, holes=0.1):
    """A rough scan of a random hand with holes, turned and moved, in some unit; and the truth.

    Its triangles are not those of the rig.
    """
    rng = np.random.default_rng(seed)
    posed, uv_map = detailed_hand(seed, angles)
    true_vertices, true_faces = surface_of(posed, uv_map, forearm=False)
    vertices, faces = surface_of(posed, uv_map, forearm=forearm)
    vertices, faces = with_holes(*retessellated(vertices, faces, rng), rng, holes)
    vertices = vertices + rng.normal(0, noise_m, vertices.shape)
    if mirror:
        vertices, faces = vertices * [-1, 1, 1], faces[:, ::-1]
    rotation = Rotation.random(random_state=rng).as_matrix()
    offset = rng.normal(0, 0.2, 3)
    scale = float(rng.choice([1000.0, 100.0, 1.0, 39.37, 7.3])) if scale is None else scale
    truth = Truth(
        true_vertices, true_faces, uv_map, posed.keypoints, mirror, scale, rotation, offset
    )
    return Scan((vertices @ rotation.T + offset) * scale, faces), truth


_BONES_MM = {
    "index": ((22, 88, 0), (42, 25, 20), (9.0, 8.2, 7.2), 0.10),
    "middle": ((0, 92, 0), (46, 29, 21), (9.2, 8.4, 7.4), 0.0),
    "ring": ((-20, 86, 0), (43, 27, 21), (8.8, 8.0, 7.0), -0.10),
    "little": ((-38, 76, -2), (34, 20, 18), (7.8, 7.0, 6.2), -0.22),
}
"""MCP, lengths of the phalanges, radii, and spread in radians."""


def sculpted_hand(flexion_degrees=(10, 15, 10), step_mm=2.0):
    """A right hand of blended capsules, as one could model it in clay: no rigged mesh behind it.

    Hand frame, metres.
    """
    flexion = np.cumsum(np.deg2rad(flexion_degrees))
    capsules = []
    for mcp, lengths, radii, spread in _BONES_MM.values():
        place = np.array(mcp, float)
        capsules.append((np.array([0.45 * mcp[0], 6, 0]), place, 11.0, 10.0))
        for length, radius, bend, thinner in zip(
            lengths, radii, flexion, (*radii[1:], 0.94 * radii[2]), strict=True
        ):
            along = np.array([np.sin(spread), np.cos(bend), np.sin(bend)])
            reached = place + length * along / np.linalg.norm(along)
            capsules.append((place, reached, radius, thinner))
            place = reached
    thumb = np.array([(14, 16, 4), (40, 46, 20), (54, 72, 26), (62, 92, 28)], float)
    for start, stop, radius in zip(thumb[:-1], thumb[1:], (13.0, 10.5, 9.5), strict=True):
        capsules.append((start, stop, radius, 0.9 * radius))
    for side in (-12.0, 12.0):
        capsules.append((np.array([side, -45, 0]), np.array([1.2 * side, 12, 0]), 16.0, 14.0))

    ends = np.array([end for start, stop, *_ in capsules for end in (start, stop)])
    low, high = ends.min(axis=0) - 22, ends.max(axis=0) + 22
    grid = np.stack(
        np.meshgrid(
            *(np.arange(a, b, step_mm) for a, b in zip(low, high, strict=True)), indexing="ij"
        ),
        -1,
    )
    blend = 3.0
    total = np.zeros(grid.shape[:3])
    for start, stop, first, last in capsules:
        axis = stop - start
        share = np.clip((grid - start) @ axis / (axis @ axis), 0, 1)
        distance = np.linalg.norm(grid - start - share[..., None] * axis, axis=-1)
        total += np.exp(-(distance - first - share * (last - first)) / blend)
    vertices, faces = isosurface(-blend * np.log(total + 1e-300), low, step_mm)
    return 1e-3 * vertices, faces


def isosurface(field, low, step):
    """Triangles of the surface where a field on a grid is zero, facing its positive side.

    Marching tetrahedra: each cube in six, whose corners lie along a path from one of its corners to
    the opposite one, so that neighbours agree on their common faces.
    """
    shape = np.array(field.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    bases = np.indices(shape - 1).reshape(3, -1).T @ strides
    paths = [np.cumsum([0, *strides[list(order)]]) for order in permutations(range(3))]
    corners = np.concatenate([bases[:, None] + path for path in paths])
    values = field.ravel()
    inside = values[corners] < 0
    mixed = inside.any(axis=1) & ~inside.all(axis=1)
    corners, inside = corners[mixed], inside[mixed]
    order = np.argsort(~inside, axis=1, kind="stable")
    corners = np.take_along_axis(corners, order, axis=1)
    count = inside.sum(axis=1)
    triangles, withins = [], []
    for number, edges in (
        (1, [((0, 1), (0, 2), (0, 3))]),
        (2, [((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))]),
        (3, [((0, 3), (1, 3), (2, 3))]),
    ):
        for three in edges:
            triangles.append(corners[count == number][:, three])
            withins.append(corners[count == number][:, 0])
    edges = np.sort(np.concatenate(triangles).reshape(-1, 2), axis=1)
    edges, faces = np.unique(edges, axis=0, return_inverse=True)
    faces = faces.reshape(-1, 3)
    first, second = values[edges].T
    share = first / (first - second)
    places = np.stack(np.unravel_index(edges, shape), axis=-1).astype(float)
    vertices = low + step * (places[:, 0] + share[:, None] * (places[:, 1] - places[:, 0]))
    # Outside is where the tetrahedron's first corner is not.
    corner = vertices[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    within = low + step * np.stack(np.unravel_index(np.concatenate(withins), shape), axis=-1)
    inwards = (normal * (corner.mean(axis=1) - within)).sum(axis=1) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return vertices, faces
