"""A run of the training loop that starts and steps quickly: a network of one convolution.

Ends with the fingerprint of its final state on the last line.
"""

import sys
import time
from pathlib import Path

import flax.linen as nn

from i2uv_jax.config import HandNetConfig
from i2uv_jax.config_io import with_overrides
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training import loop, program, state
from i2uv_jax.training.fingerprint import tree_fingerprint
from tests.training.sheet import SHEET_CONFIG, SheetSource

NUM_STEPS = 40
OVERRIDES = [
    f"train.num_steps={NUM_STEPS}",
    "train.log_every=1",
    "train.picture_every=1000",
    "train.save_every=3",
    "model.affine.decoder_channels=8,8",
]


class OneConvolution(nn.Module):
    """In place of a `HandNet`; batch norm, so that there are running statistics to lose."""

    config: HandNetConfig

    @nn.compact
    def __call__(self, image, *, train):
        x = nn.avg_pool(image, (8, 8), strides=(8, 8))
        x = nn.BatchNorm(use_running_average=not train)(nn.Conv(3, (3, 3))(x))
        return HandNetOutput(stage_uv_maps=(nn.avg_pool(x, (2, 2), strides=(2, 2)), x), uv_map=x)


class UnhurriedSource(SheetSource):
    """Leaves time for a kill to come at any moment of a step."""

    def training_batch(self, step):
        time.sleep(0.02)
        return super().training_batch(step)


def main() -> None:
    folder = Path(sys.argv[1])
    config = with_overrides(SHEET_CONFIG, OVERRIDES)
    for module in (program, state):
        module.build_model = lambda config, **options: OneConvolution(config)
    # A model file holds a `HandNet`.
    loop._export = lambda *arguments: None
    result = loop.train(config, folder, resume=True, source=UnhurriedSource(config))
    print("state", int(result.state.step), tree_fingerprint(result.state))


if __name__ == "__main__":
    main()
