"""Whether a config asks for the plain renderer."""

from dataclasses import replace

from i2uv_jax.config import RenderConfig, plain_looks


def is_plain(config: RenderConfig) -> bool:
    """Whether skin, light and forearm are all at their plainest, so that the short path draws."""
    skin = config.skin
    without_photos = skin.folder is None or skin.photo_share == 0
    plain = plain_looks(config)
    return (
        (replace(skin, folder=None) == plain.skin and without_photos)
        and config.light == plain.light
        and config.forearm == plain.forearm
    )
