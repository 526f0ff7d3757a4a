"""Which network a config stands for: of the hand's surface, or of where hands are."""

import flax.linen as nn

from i2uv_jax.config import DetectorConfig, HandNetConfig
from i2uv_jax.models.detector import build_detector
from i2uv_jax.models.hand_net import build_model

NetworkConfig = HandNetConfig | DetectorConfig


def build_network(
    config: NetworkConfig, *, rematerialise: bool = False, by_picture: bool = False
) -> nn.Module:
    """The network of either kind; both take pictures of `config.image_size` and `train`.

    Args:
        rematerialise: see `build_model`; a detector is small and keeps its activations.
        by_picture: see `build_model`; a detector samples nothing.
    """
    if isinstance(config, DetectorConfig):
        return build_detector(config)
    return build_model(config, rematerialise=rematerialise, by_picture=by_picture)
