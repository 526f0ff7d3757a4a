"""Pictures without a hand, as a crop shows them where somebody took something else for one.

Backgrounds as they stand behind hands, before every other one a face, a bare arm or a blob of skin,
and the camera that takes pictures of hands, too. Pure and jit-able; costs a fraction of a hand.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from i2uv_jax.config import RenderConfig
from i2uv_jax.ops.devices import on_own_device
from i2uv_jax.ops.each_picture import each_picture
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.background import sample_background
from i2uv_jax.render.sensor import apply_sensor

_PEOPLE_SHARE = 0.5


def sample_handless(
    key: Array,
    config: RenderConfig,
    count: int,
    pictures: UInt8[Array, "n s s 3"] | None = None,
    *,
    sharding: NamedSharding | None = None,
) -> Float[Array, "count size size 3"]:
    """Random pictures without a hand, sRGB-encoded, 0 to 1; the key decides everything.

    Args:
      config: says what backgrounds and the camera are like, and the size.
      pictures: the user's own backgrounds (`render.assets`); they should show no hands.
      sharding: splits the pictures over devices, each of which draws its own.
    """
    keys = jax.random.split(hash_key(key), count)

    def draw(keys: PRNGKeyArray, pictures: UInt8[Array, "n s s 3"] | None) -> Array:
        return each_picture(lambda one_key: _sample(one_key, config, pictures), keys)

    return on_own_device(draw, sharding, whole=[1])(keys, pictures)


def _sample(key, config, pictures):
    background_key, sensor_key = jax.random.split(key)
    background = replace(config.background, people_share=_PEOPLE_SHARE)
    image = sample_background(background_key, config.image_size, background, pictures)
    return apply_sensor(sensor_key, jnp.clip(image, 0, 1), config.sensor)
