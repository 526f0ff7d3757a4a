"""Reconstructs hands in photos: `python -m launch.predict PHOTO [PHOTO ...] --out DIR`.

The same as `i2uv predict`; see there for the arguments.
"""

import sys

from i2uv_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
