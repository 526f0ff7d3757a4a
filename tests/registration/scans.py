"""Meshes to register, made independently of the fitter."""

from functools import lru_cache, partial

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
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles, sample_pose
from i2uv_jax.hand.shape_prior import sample_shape


@lru_cache
def _compiled():
    hand = load_hand()

    @jax.jit
    def of(key, rotations, named):
        keys = jax.random.split(key, 3)
        shape, pose = sample_shape(keys[0], hand), sample_pose(keys[1], hand)
        pose = jax.tree.map(partial(jax.numpy.where, named), HandPose(rotations, pose.forearm_rotation), pose)
        traits = sample_traits(keys[2], hand, DetailConfig())
        posed = pose_hand(hand, shape, pose)
        return posed, detailed_map(hand, posed, pose, traits, DetailConfig(), 256)

    angles_to_rotations = jax.jit(lambda angles: joint_rotations_from_angles(hand, angles))
    return of, angles_to_rotations


def detailed_hand(seed, angles=None):
    """Posed hand and its true high-fidelity map (hand frame, metres)."""
    of, to_rotations = _compiled()
    rotations = to_rotations(np.zeros((20, 3), np.float32) if angles is None else np.asarray(angles, np.float32))
    posed, uv_map = of(jax.random.key(seed), rotations, angles is not None)
    return jax.tree.map(np.asarray, posed), np.asarray(uv_map)


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
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
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


def make_scan(seed, *, angles=None, forearm=False, noise=0.0003, holes=0.1, scale=None, mirror=False, axes=True):
    """vertices, faces, truth dict."""
    rng = np.random.default_rng(seed)
    posed, uv_map = detailed_hand(seed, angles)
    true_vertices, true_faces = surface_of(posed, uv_map, forearm=forearm)
    vertices, faces = retessellated(true_vertices, true_faces, rng)
    if holes:
        vertices, faces = with_holes(vertices, faces, rng, holes)
    vertices = vertices + rng.normal(0, noise, vertices.shape)
    if mirror:
        vertices, faces = vertices * [-1, 1, 1], faces[:, ::-1]
    rotation = Rotation.random(random_state=rng).as_matrix() if axes else np.eye(3)
    scale = rng.choice([1000.0, 100.0, 1.0, 39.37, 7.3]) if scale is None else scale
    offset = rng.normal(0, 0.2, 3)
    return (vertices @ rotation.T + offset) * scale, faces, {
        "scale": scale, "uv_map": uv_map, "posed": posed, "vertices": true_vertices, "faces": true_faces,
        "rotation": rotation, "offset": offset,
    }
