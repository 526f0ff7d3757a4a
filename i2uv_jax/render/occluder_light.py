"""Light on occluders: worked out at their few vertices and interpolated. Pure, jit-able."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from i2uv_jax.config import LightConfig
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.render.light import NUM_LAMPS, Light, reflected_light
from i2uv_jax.render.occluders import OCCLUDER_FACES, Occluders
from i2uv_jax.render.rasterise import Fragments, interpolate


def light_occluders(light: Light, config: LightConfig, occluders: Occluders) -> Float[Array, "n 3"]:
    """Linear colour of each vertex of one picture's occluders; nothing casts shadows on them."""
    count = occluders.vertices_m.shape[0]
    normals = vertex_normals(occluders.vertices_m, OCCLUDER_FACES)
    ones = jnp.ones(count)
    return reflected_light(
        light,
        # Light does not creep under a thing's surface as it does under skin.
        replace(config, subsurface=0.0),
        normals=normals.T,
        view=normalize(-occluders.vertices_m).T,
        albedo=occluders.albedo.T,
        gloss=0.8 * ones,
        sharpness=30 * ones,
        metal=0 * ones,
        ambient=ones,
        visible=jnp.ones((NUM_LAMPS, count)),
    ).T


def occluder_colour(
    face: Int[Array, "b s h w"],
    weights: Float[Array, "b s h w 3"],
    first_face: int,
    colours: Float[Array, "b n 3"],
) -> Float[Array, "b s h w 3"]:
    """Linear colour of samples that see an occluder, zero for the others.

    Args:
      face: what each sample sees; occluders' faces start at `first_face`.
      colours: of `light_occluders`.
    """
    batch, count, height, width = face.shape
    is_occluder = face >= first_face
    fragments = Fragments(
        face=jnp.where(is_occluder, face - first_face, -1).reshape(batch, count * height, width),
        weights=(weights * is_occluder[..., None]).reshape(batch, count * height, width, 3),
        depth=jnp.zeros((batch, count * height, width)),
    )
    return interpolate(fragments, OCCLUDER_FACES, colours).reshape(*face.shape, 3)
