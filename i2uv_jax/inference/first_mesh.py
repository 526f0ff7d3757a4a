"""A fresh process up to its first mesh: the README's lines of Python, with the time of each step.

    python -m i2uv_jax.inference.first_mesh PHOTO MODEL X0 Y0 X1 Y1

prints a JSON object: "entered", when the first line of ours ran (seconds since 1970), and "steps",
the seconds that each step after it took. Imports stand where they happen, since they are a step.
"""

import json
import sys
import time
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Reconstructs one hand and prints the times."""
    entered = last = time.time()
    steps = {}

    def note(step: str) -> None:
        nonlocal last
        now = time.time()
        steps[step] = now - last
        last = now

    path, name, *box = arguments
    from i2uv_jax.imaging.read import read_photo
    from i2uv_jax.inference.cache import keep_compiled_programs
    from i2uv_jax.inference.predictor import load_model

    note("imports")
    keep_compiled_programs()
    model = load_model(name)
    note("model")
    model.compile()
    note("compiling")
    model(read_photo(path), box_xyxy=[float(edge) for edge in box])
    note("first hand")
    json.dump({"entered": entered, "steps": steps}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
