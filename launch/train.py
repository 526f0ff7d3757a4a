"""Trains a model: `python -m launch.train --config configs/NAME.py [--key=value ...]`.

The same as `i2uv train`; see there for the arguments.
"""

import sys

from i2uv_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
