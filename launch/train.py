"""Trains a model: `python -m launch.train --config configs/NAME.py [--key=value ...]`.

The same as `i2uv train`; see there for the arguments.
"""

import argparse
import sys

from i2uv_jax.cli import train


def main() -> int:
    parser = argparse.ArgumentParser(prog="launch.train", allow_abbrev=False)
    train.add_arguments(parser)
    return train.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
