"""Normals of triangle meshes. Pure and jit-able; faces are counter-clockwise seen from outside."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_LENGTH_EPSILON = 1e-12
"""Added under the root, so that a degenerate triangle has a zero normal and finite gradients."""


def face_normals(
    vertices: Float[Array, "*b v 3"], faces: Int[Array, "f 3"]
) -> Float[Array, "*b f 3"]:
    """Normals whose length is twice the triangle's area."""
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    return jnp.cross(b - a, c - a)


def vertex_normals(
    vertices: Float[Array, "*b v 3"], faces: Int[Array, "f 3"]
) -> Float[Array, "*b v 3"]:
    """Unit normals: the area-weighted mean of the normals of the faces around each vertex."""
    per_face = face_normals(vertices, faces)
    total = jnp.zeros_like(vertices)
    for corner in range(3):
        total = total.at[..., faces[:, corner], :].add(per_face)
    return normalize(total)


def normalize(vectors: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Unit vectors; a zero vector stays zero."""
    squared = jnp.sum(vectors * vectors, axis=-1, keepdims=True)
    return vectors / jnp.sqrt(squared + _LENGTH_EPSILON)
