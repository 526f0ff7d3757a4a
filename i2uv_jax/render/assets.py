"""What the renderer looks up and does not work out: read or drawn once per run, on the host.

Assets are handed to `render.scene.sample_batch` as an argument, so that a compiled renderer holds
none of them.
"""

from flax import struct
from jaxtyping import Array, UInt8

from i2uv_jax.config import BackgroundConfig, RenderConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.render.picture_folder import load_picture_folder
from i2uv_jax.render.plain import is_plain
from i2uv_jax.render.skin_textures import SkinTextures, load_skin_textures


@struct.dataclass
class RenderAssets:
    """Arrays (a pytree) that are the same for every picture of a run."""

    skins: SkinTextures | None
    """None for the plain renderer, which needs none."""
    backgrounds: UInt8[Array, "n s s 3"] | None
    """The user's pictures behind hands; None draws every background."""


def load_render_assets(config: RenderConfig, hand: Hand) -> RenderAssets:
    """Everything that a config's pictures are made of.

    Raises:
      ValueError: a folder that the config names, or a file in it, is missing or unreadable.
    """
    skins = None if is_plain(config) else load_skin_textures(config.skin, hand)
    return RenderAssets(skins=skins, backgrounds=load_backgrounds(config.background))


def load_backgrounds(config: BackgroundConfig) -> UInt8[Array, "n s s 3"] | None:
    """The user's pictures behind hands; None where the config draws every background.

    Raises:
      ValueError: as `load_render_assets`.
    """
    if config.folder is None or config.folder_share == 0:
        return None
    return load_picture_folder(config.folder, size=config.folder_size, limit=config.folder_limit)
