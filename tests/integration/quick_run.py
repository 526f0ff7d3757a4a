"""The training loop as a program that starts and steps quickly: a network of two convolutions.

Alone or as one of several processes. Ends with the fingerprint of its final state on the last line.
"""

import argparse
import sys
import time
from pathlib import Path

import flax.linen as nn

from i2uv_jax.config import HandNetConfig
from i2uv_jax.config_io import with_overrides
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.training import loop, program, state
from i2uv_jax.training.fingerprint import tree_fingerprint
from i2uv_jax.training.processes import connect
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from tests.training.sheet import SHEET_CONFIG, SheetSource

NUM_STEPS = 40
OVERRIDES = [
    f"train.num_steps={NUM_STEPS}",
    "train.num_devices=none",
    "train.log_every=1",
    "train.picture_every=10",
    "train.save_every=3",
    "model.affine.decoder_channels=8,8",
]


class TwoConvolutions(nn.Module):
    """In place of a `HandNet`; batch norm, so that there are running statistics to lose."""

    config: HandNetConfig

    @nn.compact
    def __call__(self, image, *, train):
        x = nn.avg_pool(image, (8, 8), strides=(8, 8))
        # Enough channels for kernels that are worth sharding.
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(64, (3, 3))(x)))
        x = nn.Conv(3, (3, 3))(x)
        return HandNetOutput(stage_uv_maps=(nn.avg_pool(x, (2, 2), strides=(2, 2)), x), uv_map=x)


class UnhurriedSource(SheetSource):
    """Leaves time for a kill to come at any moment of a step."""

    def training_batch(self, step):
        time.sleep(0.02)
        return super().training_batch(step)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--process-id", type=int)
    args = parser.parse_args()
    connect(args.coordinator, args.num_processes, args.process_id)
    config = with_overrides(SHEET_CONFIG, [*OVERRIDES, *args.set])
    for module in (program, state):
        module.build_model = lambda config, **options: TwoConvolutions(config)
    # A model file holds a `HandNet`.
    loop.export_model = lambda *arguments: None
    sharding = batch_sharding(make_mesh(config.train.num_devices, config.train.fsdp))
    source = UnhurriedSource(config, sharding=sharding)
    result = loop.train(config, args.folder, resume=True, source=source)
    print("state", int(result.state.step), tree_fingerprint(result.state))
    return 0 if result.signal_number is None else 128 + result.signal_number


if __name__ == "__main__":
    sys.exit(main())
