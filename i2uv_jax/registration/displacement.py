"""What pose and shape cannot say: the subdivided hand moved along its normals onto the scan.

Each of the scan's points asks the vertex nearest to it for the height that it stands at; a
bi-Laplacian term (a thin plate's energy) averages neighbouring wishes and fills holes smoothly.
Solved from stiff to soft, with neighbours found anew. Lengths are millimetres.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from i2uv_jax.geometry.host_normals import unit, vertex_normals
from i2uv_jax.geometry.surface import SurfaceSamples
from i2uv_jax.registration.parameters import SmoothMesh

_STAGES = ((2000.0, 10.0), (300.0, 6.0), (50.0, 4.0), (8.0, 3.0), (2.0, 3.0))
"""Stiffness against a weight of one for the average vertex, and reach in millimetres."""
_NORMAL_MM = 4.0
_RIDGE = 1e-4
"""Holds vertices that neither the scan nor their neighbours hold."""
_SEEN_MM = 2.0


def displace(
    vertices: Float[np.ndarray, "v 3"], mesh: SmoothMesh, scan: SurfaceSamples
) -> tuple[Float[np.ndarray, "h 3"], Bool[np.ndarray, "h"]]:
    """Vertices of the hand (without the forearm) on the scan, and which of them the scan shows.

    Args:
      vertices: of `mesh`, hand then forearm, in the frame and unit (mm) of the scan's points.
    """
    num = mesh.num_hand_vertices
    roughness = _laplacian(mesh)
    plate = roughness.T @ roughness
    vertices = np.array(vertices)
    for stiffness, reach in _STAGES:
        normals = vertex_normals(vertices, mesh.faces)
        vertex, offset = _nearest(vertices, normals, scan)
        height = (offset * normals[vertex]).sum(axis=1)
        weight = 1 / (1 + (offset**2).sum(axis=1) / reach**2) ** 2
        weight *= vertex < num
        vertex = np.minimum(vertex, num - 1)
        wanted = np.bincount(vertex, weight, minlength=num) * num / len(scan.points)
        total = np.bincount(vertex, weight * height, minlength=num) * num / len(scan.points)
        system = sparse.diags(wanted + _RIDGE) + stiffness * plate
        height = _solve_symmetric(system, total)
        # As smooth as the heights: neighbours that move far in crossing directions would fold.
        directions = normals[:num]
        for _ in range(round(np.sqrt(stiffness) / 2)):
            directions = directions - 0.5 * (roughness @ directions)
        vertices[:num] += height[:, None] * unit(directions)
    normals = vertex_normals(vertices, mesh.faces)[:num]
    tree = cKDTree(np.concatenate([scan.points, _NORMAL_MM * scan.normals], axis=1))
    distance, _ = tree.query(np.concatenate([vertices[:num], _NORMAL_MM * normals], axis=1))
    return vertices[:num], distance < _SEEN_MM


def _solve_symmetric(matrix, values):
    """For positive definite matrices; this ordering takes a third of the default's time."""
    options = {"SymmetricMode": True}
    factors = splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
    )
    return factors.solve(values)


def _nearest(vertices, normals, scan):
    """The vertex nearest to each of the scan's points by place and normal, and the way there."""
    tree = cKDTree(np.concatenate([vertices, _NORMAL_MM * normals], axis=1))
    _, vertex = tree.query(np.concatenate([scan.points, _NORMAL_MM * scan.normals], axis=1))
    return vertex, scan.points - vertices[vertex]


def _laplacian(mesh: SmoothMesh) -> sparse.csr_matrix:
    """Each vertex less the mean of its neighbours."""
    num = mesh.num_hand_vertices
    sides = mesh.hand_faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    rows, columns = np.concatenate([sides, sides[:, ::-1]]).T
    adjacent = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(num, num))
    adjacent.data[:] = 1
    count = np.asarray(adjacent.sum(axis=1)).ravel()
    return sparse.identity(num, format="csr") - sparse.diags(1 / count) @ adjacent
