"""Whether a config asks for the plain renderer."""

from i2uv_jax.config import RenderConfig


def is_plain(config: RenderConfig) -> bool:
    """Whether skin, light and forearm are all at their plainest, which a far shorter path draws."""
    skin, light, forearm = config.skin, config.light, config.forearm
    has_photos = skin.folder is not None and skin.photo_share > 0
    return not (
        any((skin.detail, skin.relief, skin.variation, has_photos))
        or any((light.environment, light.shadows, light.occlusion, light.subsurface))
        or any((light.gloss, light.exposure))
        or any((forearm.sleeve_share, forearm.ring_share, forearm.band_share))
        or forearm.share < 1
    )
