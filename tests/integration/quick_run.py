"""The training loop as a program that starts and steps quickly: a network of two convolutions.

Alone or as one of several processes. Ends with the fingerprint of its final state on the last line.
"""

import argparse
import sys
import time
from pathlib import Path

from i2uv_jax.config_io import with_overrides
from i2uv_jax.training import loop
from i2uv_jax.training.fingerprint import tree_fingerprint
from i2uv_jax.training.processes import connect
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from tests.training.sheet import SHEET_CONFIG, SheetSource
from tests.training.two_convolutions import TWO_STAGES, use_two_convolutions

NUM_STEPS = 40
OVERRIDES = [
    f"train.num_steps={NUM_STEPS}",
    "train.num_devices=none",
    "train.log_every=1",
    "train.picture_every=10",
    "train.save_every=3",
    TWO_STAGES,
]


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
    use_two_convolutions(setattr)
    sharding = batch_sharding(make_mesh(config.train.num_devices, config.train.fsdp))
    source = UnhurriedSource(config, sharding=sharding)
    result = loop.train(config, args.folder, resume=True, source=source)
    print("state", int(result.state.step), tree_fingerprint(result.state))
    return 0 if result.signal_number is None else 128 + result.signal_number


if __name__ == "__main__":
    sys.exit(main())
