"""What the renderer looks up and does not work out: read or drawn once per run, on the host.

Assets are handed to `render.scene.sample_batch` as an argument, so that a compiled renderer holds
none of them.
"""

from flax import struct
from jaxtyping import Array, UInt8

from i2uv_jax.config import RenderConfig
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
    background = config.background
    backgrounds = None
    if background.folder is not None and background.folder_share > 0:
        backgrounds = load_picture_folder(
            background.folder, size=background.folder_size, limit=background.folder_limit
        )
    return RenderAssets(skins=skins, backgrounds=backgrounds)
