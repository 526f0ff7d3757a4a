"""Superellipsoids (Barr 1981): one grid of triangles that two exponents turn into a ball, a can, a
pen, a box or a card. Pure, jit-able, vmap-able."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_SEGMENTS, _RING_LATITUDES = 16, np.deg2rad([-75, -45, 0, 45, 75])
"""Multiples of 22.5 degrees around, so that boxes get their corners."""
SHARP, ROUND = 0.1, 1.0
"""Exponents of a superellipsoid's edges."""


class _Grid:
    """Longitude and latitude of a superellipsoid's vertices, rings first, then the two poles."""

    def __init__(self) -> None:
        rings = len(_RING_LATITUDES)
        self.longitude = np.tile(2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS, rings)
        self.longitude = np.append(self.longitude, [0, 0]).astype(np.float32)
        poles = [-np.pi / 2, np.pi / 2]
        self.latitude = np.append(np.repeat(_RING_LATITUDES, _SEGMENTS), poles).astype(np.float32)
        self.num_vertices = len(self.latitude)
        ring, place = np.mgrid[: rings - 1, :_SEGMENTS]
        here, beside = ring * _SEGMENTS + place, ring * _SEGMENTS + (place + 1) % _SEGMENTS
        above, above_beside = here + _SEGMENTS, beside + _SEGMENTS
        south, north = rings * _SEGMENTS, rings * _SEGMENTS + 1
        bottom, top = np.arange(_SEGMENTS), (rings - 1) * _SEGMENTS + np.arange(_SEGMENTS)
        parts = [
            np.stack([here, beside, above_beside], -1).reshape(-1, 3),
            np.stack([here, above_beside, above], -1).reshape(-1, 3),
            np.stack([np.roll(bottom, -1), bottom, np.full(_SEGMENTS, south)], -1),
            np.stack([top, np.roll(top, -1), np.full(_SEGMENTS, north)], -1),
        ]
        self.faces = np.concatenate(parts).astype(np.int32)


GRID = _Grid()


class Thing(NamedTuple):
    """A superellipsoid: centre, axes (rows, the third is that of a can), half extents, edges."""

    centre_m: Float[Array, "3"]
    axes: Float[Array, "3 3"]
    extents_m: Float[Array, "3"]
    end_edge: Float[Array, ""]
    """Exponent of the profile: `SHARP` gives flat ends."""
    side_edge: Float[Array, ""]
    """Exponent of the cross section: `SHARP` gives a rectangle."""


def surface(thing: Thing) -> Float[Array, "n 3"]:
    """Its vertices."""

    def power(value, exponent):
        # The floor keeps the logarithm finite; signs are put back.
        return jnp.sign(value) * jnp.exp(exponent * jnp.log(jnp.abs(value) + 1e-6))

    latitude, longitude = jnp.asarray(GRID.latitude), jnp.asarray(GRID.longitude)
    around = power(jnp.cos(latitude), thing.end_edge)
    unit = jnp.stack(
        [
            around * power(jnp.cos(longitude), thing.side_edge),
            around * power(jnp.sin(longitude), thing.side_edge),
            power(jnp.sin(latitude), thing.end_edge),
        ],
        axis=-1,
    )
    return (unit * thing.extents_m) @ thing.axes + thing.centre_m
