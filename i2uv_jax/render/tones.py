"""How light or dark the skins of rendered hands are, on the Monk scale. Pure and jit-able."""

import jax
from jaxtyping import Array, Int

from i2uv_jax.config import RenderConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.render.appearance import sample_look
from i2uv_jax.render.scene import picture_keys
from i2uv_jax.render.skin import monk_tone
from i2uv_jax.render.skin_textures import SkinTextures


def monk_tones(
    key: Array, hand: Hand, config: RenderConfig, batch_size: int, textures: SkinTextures
) -> Int[Array, "b"]:
    """Which of the ten Monk tones (1 is the lightest) each hand of `sample_batch(key, ...)` has.

    Draws the people anew and leaves out all that makes pictures dear. For renderers with skins:
    the plain one draws its tone otherwise.
    """
    keys = picture_keys(key, batch_size).colour
    return jax.vmap(lambda one: monk_tone(sample_look(one, hand, config, textures).skin))(keys)
