"""Puts a finished run's model into the package, in half precision: the run's name is its name.

python -m launch.ship_model RUN
"""

import argparse
from pathlib import Path

from i2uv_jax.models.model_files import MODEL_SUFFIX, WEIGHTS_DIRECTORY
from i2uv_jax.models.weights import load_model_file, save_model
from i2uv_jax.training.run_folder import MODEL_FILE, load_run_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_DIRECTORY, help="where to")
    arguments = parser.parse_args()
    kind = type(load_run_config(arguments.run).model)
    config, variables, card = load_model_file(arguments.run / MODEL_FILE, kind)
    path = arguments.weights / (card["name"] + MODEL_SUFFIX)
    save_model(path, config, variables, card, storage_dtype="float16")
    scores = card.get("evaluation_mm") or card["evaluation"]
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {scores}")


if __name__ == "__main__":
    main()
