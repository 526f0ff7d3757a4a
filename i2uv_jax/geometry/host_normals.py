"""Normals of one mesh on the host: `geometry.mesh` in NumPy, with nothing to compile."""

import numpy as np
from jaxtyping import Float, Int


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors of length 1; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def vertex_normals(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "v 3"]:
    """Unit normals, weighted by area; zero at vertices of no triangle. Computed in float64."""
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    per_face = np.cross(b - a, c - a)
    total = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(per_face[:, axis], 3), minlength=len(vertices))
            for axis in range(3)
        ],
        axis=-1,
    )
    return unit(total)
