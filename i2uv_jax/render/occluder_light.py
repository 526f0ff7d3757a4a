"""Light on occluders, at their few vertices. Pure, jit-able."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.config import LightConfig
from i2uv_jax.geometry.mesh import normalize, vertex_normals
from i2uv_jax.render.light import NUM_LAMPS, Light, reflected_light
from i2uv_jax.render.occluders import OCCLUDER_FACES, Occluders


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
