"""A program that trains on the cheap source, alone or as one of several processes."""

import argparse
import sys
from pathlib import Path

from i2uv_jax.config_io import with_overrides
from i2uv_jax.training.loop import train
from i2uv_jax.training.processes import connect
from i2uv_jax.training.sharding import batch_sharding, make_mesh
from tests.training.sheet import SHEET_CONFIG, SheetSource


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--process-id", type=int)
    args = parser.parse_args()
    connect(args.coordinator, args.num_processes, args.process_id)
    config = with_overrides(SHEET_CONFIG, args.set)
    mesh = make_mesh(config.train.num_devices, config.train.fsdp)
    source = SheetSource(config, sharding=batch_sharding(mesh))
    result = train(config, args.out, resume=args.resume, source=source)
    return 0 if result.signal_number is None else 128 + result.signal_number


if __name__ == "__main__":
    sys.exit(main())
