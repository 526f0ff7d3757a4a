"""Which network a config stands for: of the hand's surface, or of where hands, palms or
keypoints are."""

import flax.linen as nn

from i2uv_jax.config import DetectorConfig, HandNetConfig, LandmarkNetConfig, PalmNetConfig
from i2uv_jax.models.detector import build_detector
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.landmark_net import build_landmark_net
from i2uv_jax.models.palm_net import build_palm_net

NetworkConfig = HandNetConfig | DetectorConfig | PalmNetConfig | LandmarkNetConfig


def build_network(
    config: NetworkConfig, *, rematerialise: bool = False, by_picture: bool = False
) -> nn.Module:
    """The network of any kind; all take pictures of `config.image_size` and `train`.

    Args:
        rematerialise: see `build_model`; detectors are small and keep their activations.
        by_picture: see `build_model`; detectors sample nothing.
    """
    if isinstance(config, PalmNetConfig):
        return build_palm_net(config)
    if isinstance(config, LandmarkNetConfig):
        return build_landmark_net(config)
    if isinstance(config, DetectorConfig):
        return build_detector(config)
    return build_model(config, rematerialise=rematerialise, by_picture=by_picture)
