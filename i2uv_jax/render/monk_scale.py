"""The ten tones of the Monk Skin Tone Scale (Monk 2019, skintone.google), and those between them.

Places on the scale count from 0, the lightest tone. Pure and jit-able.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.render.colour import srgb_to_linear

SKIN_TONES_SRGB = (
    np.array(
        [
            (0xF6, 0xED, 0xE4), (0xF3, 0xE7, 0xDB), (0xF7, 0xEA, 0xD0), (0xEA, 0xDA, 0xBA),
            (0xD7, 0xBD, 0x96), (0xA0, 0x7E, 0x56), (0x82, 0x5C, 0x43), (0x60, 0x41, 0x34),
            (0x3A, 0x31, 0x2A), (0x29, 0x24, 0x20),
        ],
        np.float32,
    )
    / 255
)  # fmt: skip
"""Light to dark."""

LAST_PLACE = len(SKIN_TONES_SRGB) - 1


def linear_tones() -> Float[Array, "10 3"]:
    """All ten, as linear RGB."""
    return srgb_to_linear(jnp.asarray(SKIN_TONES_SRGB))


def sample_tone(key: PRNGKeyArray) -> Float[Array, "3"]:
    """One of the ten, sRGB-encoded; the first and the last are half as likely as the others."""
    place = LAST_PLACE * jax.random.uniform(key)
    return jnp.asarray(SKIN_TONES_SRGB)[jnp.round(place).astype(int)]


def tone_at(tones: Float[Array, "10 3"], place: Float[Array, ""]) -> Float[Array, "3"]:
    """The tone at any place, mixed of the two around it.

    Args:
      tones: all ten, in the encoding to mix them in.
    """
    lighter, darker, fraction = tones_around(tones, place)
    return lighter + fraction * (darker - lighter)


def tones_around(
    tones: Float[Array, "10 3"], place: Float[Array, ""]
) -> tuple[Float[Array, "3"], Float[Array, "3"], Float[Array, ""]]:
    """The tones before and behind a place, and its distance from the former, 0 to 1."""
    before = jnp.floor(place).astype(int)
    return tones[before], tones[jnp.minimum(before + 1, LAST_PLACE)], place - before
