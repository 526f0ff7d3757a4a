"""Random bits per pixel, many times cheaper than the counter-based generator behind PRNG keys."""

import jax.numpy as jnp
from jaxtyping import Array, UInt32


def hash_bits(values: UInt32[Array, "*n"]) -> UInt32[Array, "*n"]:
    """Well mixed bits for each integer ("lowbias32", C. Wellons' hash prospector).

    Good enough for noise and textures that are looked at; a key gives the seed to start from.
    """
    values = (values ^ (values >> 16)) * jnp.uint32(0x7FEB352D)
    values = (values ^ (values >> 15)) * jnp.uint32(0x846CA68B)
    return values ^ (values >> 16)
