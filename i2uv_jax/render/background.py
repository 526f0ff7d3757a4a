"""Procedural backgrounds: noise of several scales, with hard-edged clutter. Pure and jit-able."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_OCTAVES = (2, 4, 8, 16, 32)
_NUM_SHAPES = 6


def sample_background(key: Array, size: int) -> Float[Array, "size size 3"]:
    """A random picture, sRGB-encoded, 0 to 1: coloured noise under a few discs and bars."""
    colour_key, weight_key, noise_key, shape_key = jax.random.split(key, 4)
    picture = jnp.broadcast_to(jax.random.uniform(colour_key, (3,)), (size, size, 3))
    slope = jax.random.uniform(weight_key, maxval=1.6)
    strength = jax.random.uniform(jax.random.fold_in(weight_key, 1), minval=0.02, maxval=0.35)
    for octave, cells in enumerate(_OCTAVES):
        layer_key, mix_key = jax.random.split(jax.random.fold_in(noise_key, octave))
        grid = jax.random.normal(layer_key, (cells, cells, 3))
        # Real textures are mostly grey: colour noise is the smaller part.
        saturation = 0.5 * jax.random.uniform(mix_key)
        grid = saturation * grid + (1 - saturation) * grid[..., :1]
        layer = jax.image.resize(grid, (size, size, 3), "linear")
        picture += strength * jnp.exp(-slope * octave) * layer
    return jnp.clip(_add_shapes(shape_key, picture), 0, 1)


def _add_shapes(key, picture):
    """Ellipses and bars at random places, some of them nearly skin-coloured."""
    size = picture.shape[0]
    axis = (jnp.arange(size) + 0.5) / size
    x, y = axis[None, :], axis[:, None]
    count_key, key = jax.random.split(key)
    count = jax.random.randint(count_key, (), 0, _NUM_SHAPES + 1)
    for number in range(_NUM_SHAPES):
        keys = jax.random.split(jax.random.fold_in(key, number), 6)
        centre = jax.random.uniform(keys[0], (2,), minval=-0.1, maxval=1.1)
        angle = jax.random.uniform(keys[1], maxval=jnp.pi)
        radii = jnp.exp(jax.random.uniform(keys[2], (2,), minval=-3.5, maxval=-0.7))
        along = (x - centre[0]) * jnp.cos(angle) + (y - centre[1]) * jnp.sin(angle)
        across = (y - centre[1]) * jnp.cos(angle) - (x - centre[0]) * jnp.sin(angle)
        is_ellipse = jax.random.bernoulli(keys[3])  # else a superellipse, almost a box
        first, second = (along / radii[0]) ** 2, (across / radii[1]) ** 2
        inside = jnp.where(is_ellipse, first + second, first**4 + second**4) < 1
        colour = jax.random.uniform(keys[4], (3,))
        shade = 1 + 0.5 * jax.random.normal(keys[5]) * along / radii[0] * inside
        covered = (inside & (number < count))[..., None]
        picture = jnp.where(covered, jnp.clip(colour * shade[..., None], 0, 1), picture)
    return picture
